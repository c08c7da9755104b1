"""A sound as the bytes of a WAV file, for players inside a page or a notebook."""

from __future__ import annotations

import base64
import io
import wave

import numpy as np

from otoscope.core.audio import Audio
from otoscope.core.errors import InputError

_FULL_SCALE = 32767


def wav_bytes(audio: Audio, gain: float = 1.0) -> bytes:
    """A RIFF file, 16-bit PCM, channels interleaved. ``gain`` is for sounds that are not made for fixed-point files.

    Raises :class:`InputError` where a sample would be clipped.
    """
    scaled = np.rint(audio.samples.astype(np.float64) * gain * _FULL_SCALE)
    if np.abs(scaled).max() > _FULL_SCALE:
        raise InputError(f"a sample reaches {np.abs(audio.samples).max() * gain:.3f}, beyond full scale")
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(audio.channels)
        file.setsampwidth(2)
        file.setframerate(audio.rate)
        file.writeframes(scaled.astype("<i2").T.tobytes())
    return out.getvalue()


def wav_address(audio: Audio, gain: float = 1.0) -> str:
    """:func:`wav_bytes` as a ``data:`` address."""
    return f"data:audio/wav;base64,{base64.b64encode(wav_bytes(audio, gain)).decode('ascii')}"
