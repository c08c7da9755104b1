"""Log-mel of both ears and the magnitude of their difference: the phase-blind envelope.

It never looks at interaural phase, and yet scores high at low SNR, because the cross term of noise and tone makes the
two magnitudes of SpiN0 differ. Whatever does not exceed it proves no use of phase (ours).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from otoscope.models.encoders.reference.features import HOP_S, RATE, Complex, by_frame, log_mel, two_ears


@dataclass(frozen=True)
class LogMelIld:
    """Frames ``[1, T, 192]``: left, right, |left - right| in nepers of energy."""

    name: ClassVar[str] = "logmel-ild"
    version: ClassVar[int] = 1
    rate: ClassVar[int] = RATE
    channels: ClassVar[int] = 2
    hop_s: ClassVar[float] = HOP_S
    declared_cues: ClassVar[frozenset[str]] = frozenset({"magnitude"})

    def frames(self, x: NDArray[np.floating]) -> NDArray[np.float64]:
        """``x`` is ``[2, n]`` at 16 kHz. Raises :class:`InputError` on another shape or less than one frame."""
        return by_frame(two_ears(x), _features)[None]


def _features(spectrum: Complex) -> NDArray[np.float64]:
    left, right = log_mel(spectrum)
    return np.concatenate([left, right, np.abs(left - right)], axis=-1)
