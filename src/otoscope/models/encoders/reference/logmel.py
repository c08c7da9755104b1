"""Log-mel of each ear: the front end of binaural encoders that keep no interaural phase (GRAM-T, for one).

The channel axis stays, so pooling decides: concatenation keeps what differs between the ears, the mean loses it. Each
ear alone changes alike in S0 and Spi on average, so the ratio scatters around 0 dB (ours).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from otoscope.models.encoders.reference.features import HOP_S, RATE, by_frame, log_mel, two_ears


@dataclass(frozen=True)
class LogMel:
    """Frames ``[2, T, 64]``."""

    name: ClassVar[str] = "logmel"
    version: ClassVar[int] = 1
    rate: ClassVar[int] = RATE
    channels: ClassVar[int] = 2
    hop_s: ClassVar[float] = HOP_S
    declared_cues: ClassVar[frozenset[str]] = frozenset({"magnitude"})

    def frames(self, x: NDArray[np.floating]) -> NDArray[np.float64]:
        """``x`` is ``[2, n]`` at 16 kHz. Raises :class:`InputError` on another shape or less than one frame."""
        return by_frame(two_ears(x), log_mel)
