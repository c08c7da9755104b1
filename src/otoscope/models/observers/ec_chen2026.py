"""The "EC" curve that arXiv 2606.14820 plots, which is not Durlach's formula.

    10 log10( 2 / (1 + s^2 - exp(-(w SIGMA)^2 / 2)) ),   s = 10^(0.25 / 20) - 1,   SIGMA = 105 us

meets the published points to 0.05 dB (a reconstruction from the plotted values; the formula is not quoted anywhere we
could read). It takes the amplitude jitter as 0.25 dB rather than 25 %, jitters one ear only, and gives the target a
gain of 4 without loss, so it ends at +3 dB at high frequencies, where there is no binaural advantage. For replication;
elsewhere use :mod:`otoscope.models.observers.ec`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from otoscope.core.errors import InputError, UsageError

AMPLITUDE_JITTER = 10.0 ** (0.25 / 20.0) - 1.0
TIME_JITTER_S = 105e-6


def ec_chen2026_bmld(frequency_hz: float) -> float:
    """BMLD of N0Spi in dB. Raises :class:`InputError` for a frequency that is not positive."""
    if not (math.isfinite(frequency_hz) and frequency_hz > 0.0):
        raise InputError(f"a tone needs a positive frequency, got {frequency_hz} Hz")
    lost = math.exp(-((2.0 * math.pi * frequency_hz * TIME_JITTER_S) ** 2) / 2.0)
    return 10.0 * math.log10(2.0 / (1.0 + AMPLITUDE_JITTER**2 - lost))


@dataclass(frozen=True)
class ECChen2026:
    """The curve as an observer; it exists for N0Spi alone."""

    name: ClassVar[str] = "ec-chen2026"
    version: ClassVar[int] = 1

    def bmld_db(self, name: str, frequency_hz: float) -> float:
        """Raises :class:`UsageError` for any condition but N0Spi."""
        if name.replace(" ", "") != "N0Spi":
            raise UsageError(f"the published curve has no condition {name!r}", fix="Use N0Spi, or ec-durlach.")
        return ec_chen2026_bmld(frequency_hz)
