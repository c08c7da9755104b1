"""Frame-wise GCC-PHAT as an embedding: correlation of the ears over lags within 1 ms.

A positive control for delays. For strictly diotic sounds it is one constant (see the GCC-PHAT observer), so the ratio
of the benchmark is a division by zero unless ``sensor_noise_db`` adds independent noise to each ear (ours).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from otoscope.audio.stft import hann
from otoscope.core.errors import InputError
from otoscope.models.encoders.reference.features import RATE, two_ears
from otoscope.models.observers.gcc_phat import add_sensor_noise, phat_spectrum

WINDOW = 2048
HOP = 1024
MAX_LAG = 16  # samples: 1 ms


@dataclass(frozen=True)
class GccPhatVector:
    """Frames ``[1, T, 33]``."""

    name: ClassVar[str] = "gcc-phat-vector"
    version: ClassVar[int] = 1
    rate: ClassVar[int] = RATE
    channels: ClassVar[int] = 2
    hop_s: ClassVar[float] = HOP / RATE
    declared_cues: ClassVar[frozenset[str]] = frozenset({"gcc"})

    sensor_noise_db: float | None = None
    seed: int = 0

    def frames(self, x: NDArray[np.floating]) -> NDArray[np.float64]:
        """``x`` is ``[2, n]`` at 16 kHz. Raises :class:`InputError` on another shape or less than one frame."""
        ears = add_sensor_noise(two_ears(x), self.sensor_noise_db, self.seed)
        if ears.shape[1] < WINDOW:
            raise InputError(f"{ears.shape[1]} samples are shorter than one frame of {WINDOW}", fix="Use longer audio.")
        frames = np.lib.stride_tricks.sliding_window_view(ears, WINDOW, axis=1)[:, ::HOP] * hann(WINDOW)
        correlation = np.fft.irfft(phat_spectrum(frames, 2 * WINDOW), 2 * WINDOW, axis=-1)
        return np.asarray(correlation[:, np.arange(-MAX_LAG, MAX_LAG + 1)][None])
