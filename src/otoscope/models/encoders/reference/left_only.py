"""Log-mel of the left ear: the check that nothing but the left ear reaches the score.

The left ear is noise plus tone in S0 and in Spi alike, so the distance ratio is 0 dB exactly, whatever comes after.
That tests the harness, not a model (ours).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from otoscope.models.encoders.reference.features import HOP_S, RATE, by_frame, log_mel, two_ears


@dataclass(frozen=True)
class LeftOnly:
    """Frames ``[1, T, 64]``."""

    name: ClassVar[str] = "left-only"
    version: ClassVar[int] = 1
    rate: ClassVar[int] = RATE
    channels: ClassVar[int] = 2
    hop_s: ClassVar[float] = HOP_S
    declared_cues: ClassVar[frozenset[str]] = frozenset({"magnitude"})

    def frames(self, x: NDArray[np.floating]) -> NDArray[np.float64]:
        """``x`` is ``[2, n]`` at 16 kHz. Raises :class:`InputError` on another shape or less than one frame."""
        return by_frame(two_ears(x)[:1], log_mel)
