"""Sounds inside the page: 16-bit WAV files as ``data:`` addresses."""

from __future__ import annotations

import numpy as np

from otoscope.core.audio import Audio
from otoscope.core.wav import wav_address
from otoscope.report.section import Sound


def sound(title: str, caption: str, audio: Audio, gain: float = 1.0) -> Sound:
    """A player of ``audio``."""
    return Sound(title, caption, wav_address(audio, gain), audio.duration_s)


def common_gain(sounds: list[Audio], peak: float = 0.9) -> float:
    """One gain for all sounds: 1 unless a sample would go beyond ``peak``. One, so that levels stay comparable."""
    highest = max((float(np.abs(a.samples).max()) for a in sounds), default=0.0)
    return 1.0 if highest <= peak else peak / highest
