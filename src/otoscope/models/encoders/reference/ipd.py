"""Interaural phase alone (cos and sin per mel band): the diotic degeneracy.

Noise alone and S0N0 are the same in both ears, so their features are one constant and the ratio is a division by zero.
A floor of independent noise per ear makes it finite (ours).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from otoscope.models.encoders.reference.features import HOP_S, RATE, by_frame, mel_phase, two_ears


@dataclass(frozen=True)
class Ipd:
    """Frames ``[1, T, 128]``."""

    name: ClassVar[str] = "ipd"
    version: ClassVar[int] = 1
    rate: ClassVar[int] = RATE
    channels: ClassVar[int] = 2
    hop_s: ClassVar[float] = HOP_S
    declared_cues: ClassVar[frozenset[str]] = frozenset({"ipd"})

    def frames(self, x: NDArray[np.floating]) -> NDArray[np.float64]:
        """``x`` is ``[2, n]`` at 16 kHz. Raises :class:`InputError` on another shape or less than one frame."""
        return by_frame(two_ears(x), mel_phase)[None]
