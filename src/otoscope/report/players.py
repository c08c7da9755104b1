"""Sounds inside the page: 16-bit WAV files as ``data:`` addresses."""

from __future__ import annotations

import base64
import io
import wave

import numpy as np

from otoscope.core.audio import Audio
from otoscope.core.errors import InputError
from otoscope.report.section import Sound

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


def sound(title: str, caption: str, audio: Audio, gain: float = 1.0) -> Sound:
    """A player of ``audio``."""
    text = base64.b64encode(wav_bytes(audio, gain)).decode("ascii")
    return Sound(title, caption, f"data:audio/wav;base64,{text}", audio.duration_s)


def common_gain(sounds: list[Audio], peak: float = 0.9) -> float:
    """One gain for all sounds: 1 unless a sample would go beyond ``peak``. One, so that levels stay comparable."""
    highest = max((float(np.abs(a.samples).max()) for a in sounds), default=0.0)
    return 1.0 if highest <= peak else peak / highest
