"""An untrained convolution on the two waveforms: the level that a score must beat to mean training.

One layer of Gaussian weights (from ``seed``) over both ears, ReLU. It has learned nothing, and still each draw of
weights reads its own constant, up to a few decibels of either sign and flat over SNR: the null band of the benchmark is
the spread over seeds, not 0 dB (ours).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from otoscope.core.errors import InputError
from otoscope.models.encoders.reference.features import HOP, HOP_S, RATE, two_ears

WIDTH = 400  # samples of the kernel: 25 ms


@dataclass(frozen=True)
class RandomConv:
    """Frames ``[1, T, units]``."""

    name: ClassVar[str] = "random-conv"
    version: ClassVar[int] = 1
    rate: ClassVar[int] = RATE
    channels: ClassVar[int] = 2
    hop_s: ClassVar[float] = HOP_S
    declared_cues: ClassVar[frozenset[str]] = frozenset({"waveform"})

    seed: int = 0
    units: int = 64

    def frames(self, x: NDArray[np.floating]) -> NDArray[np.float64]:
        """``x`` is ``[2, n]`` at 16 kHz. Raises :class:`InputError` on another shape or less than one frame."""
        ears = two_ears(x)
        if ears.shape[1] < WIDTH:
            raise InputError(f"{ears.shape[1]} samples are shorter than one frame of {WIDTH}", fix="Use longer audio.")
        left, right = np.lib.stride_tricks.sliding_window_view(ears, WIDTH, axis=1)[:, ::HOP]
        to_left, to_right = _weights(self.seed, self.units)
        return np.maximum(0.0, left @ to_left + right @ to_right)[None]


@functools.lru_cache(maxsize=32)
def _weights(seed: int, units: int) -> NDArray[np.float64]:
    """``[2, WIDTH, units]`` with variance 2 / fan-in."""
    weights = np.random.default_rng(seed).standard_normal((2, WIDTH, units)) / np.sqrt(WIDTH)
    weights.flags.writeable = False
    return weights
