"""Rungs L11, L12, L14: the same question put with another stimulus.

They change the description, not the sound, because another masker or another frequency is another stimulus (L14 is the
paper's in spirit, its units are unknown; the rest is ours).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from otoscope.audio.binaural import BinauralSpec
from otoscope.core.identity import describe


@dataclass(frozen=True)
class Rewrite:
    """BinauralSpec -> BinauralSpec. What is None stays.

    ``condition``: another configuration (``"NuSpi"``, ``"N0S_ild=10dB"``). ``frequency_hz``: another tone.
    ``itd_periods``: how far the right ear of the target lags, in periods of the tone, for a fixed number of
    microseconds is no delay at all at some frequencies.
    """

    version: ClassVar[int] = 1

    condition: str | None = None
    frequency_hz: float | None = None
    itd_periods: float | None = None

    def __call__(self, spec: BinauralSpec) -> BinauralSpec:
        """Raises :class:`UsageError` on an unknown condition, :class:`InputError` on a tone outside the band."""
        out = spec if self.condition is None else spec.with_condition(self.condition)
        if self.frequency_hz is not None:
            out = replace(out, frequency_hz=self.frequency_hz)
        if self.itd_periods is not None:
            lag_us = 1e6 * self.itd_periods / out.frequency_hz
            out = replace(out, target="Stau", itd_us=lag_us, phase_deg=0.0, ild_db=0.0)
        return out

    def describe(self) -> dict[str, Any]:
        return describe(self)
