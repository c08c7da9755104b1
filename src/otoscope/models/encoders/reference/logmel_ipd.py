"""Log-mel of both ears with the cos and sin of their phase difference: genuine use of interaural phase.

The same planes as the front end of Spatial-AST (arXiv 2402.01591). There a normalisation layer sets their relative
weight; here log-mel energies are divided by ``LOG_MEL_SPREAD``, about their spread over everyday sounds, which is ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from otoscope.models.encoders.reference.features import HOP_S, RATE, Complex, by_frame, log_mel, mel_phase, two_ears

#: Divides log-mel energies (nepers of energy), so that they weigh about as much as cosines and sines.
LOG_MEL_SPREAD = 5.0


@dataclass(frozen=True)
class LogMelIpd:
    """Frames ``[1, T, 256]``: left, right, cos, sin."""

    name: ClassVar[str] = "logmel-ipd"
    version: ClassVar[int] = 1
    rate: ClassVar[int] = RATE
    channels: ClassVar[int] = 2
    hop_s: ClassVar[float] = HOP_S
    declared_cues: ClassVar[frozenset[str]] = frozenset({"magnitude", "ipd"})

    def frames(self, x: NDArray[np.floating]) -> NDArray[np.float64]:
        """``x`` is ``[2, n]`` at 16 kHz. Raises :class:`InputError` on another shape or less than one frame."""
        return by_frame(two_ears(x), _features)[None]


def _features(spectrum: Complex) -> NDArray[np.float64]:
    left, right = log_mel(spectrum) / LOG_MEL_SPREAD
    return np.concatenate([left, right, mel_phase(spectrum)], axis=-1)
