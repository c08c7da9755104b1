"""Log-mel of (L + R) / 2: why a mono downmix is no control.

In SpiN0 the tone cancels in the sum, which then equals the noise alone: the ratio runs to minus infinity, and any
reading of it is a reading of rounding errors (ours; gate it).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from otoscope.models.encoders.reference.features import HOP_S, RATE, by_frame, log_mel, two_ears


@dataclass(frozen=True)
class MonoSum:
    """Frames ``[1, T, 64]``."""

    name: ClassVar[str] = "mono-sum"
    version: ClassVar[int] = 1
    rate: ClassVar[int] = RATE
    channels: ClassVar[int] = 2
    hop_s: ClassVar[float] = HOP_S
    declared_cues: ClassVar[frozenset[str]] = frozenset({"magnitude"})

    def frames(self, x: NDArray[np.floating]) -> NDArray[np.float64]:
        """``x`` is ``[2, n]`` at 16 kHz. Raises :class:`InputError` on another shape or less than one frame."""
        return by_frame(two_ears(x).mean(axis=0, keepdims=True), log_mel)
