"""Equalisation and cancellation in closed form (Durlach 1963 JASA 35:1206; Colburn & Durlach 1978).

The listener aligns the two ears on the masker and subtracts them. Independent jitter per ear, in amplitude (variance
SIGMA_EPS^2) and in time (variance SIGMA_DELTA^2), limits the cancellation. With w = 2 pi f,

    k    = (1 + SIGMA_EPS^2) exp((w SIGMA_DELTA)^2)
    gain = [(1 + a^2) k - 2 a cos(phi_S - phi_N)] / [2 (k - rho)]      re the left ear alone
    BMLD = max(0, 10 log10 gain)                                       the listener may keep to one ear

for a target of interaural phase phi_S and amplitude ratio a (right / left) in a masker whose correlation after the
equalisation is rho.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from otoscope.audio.binaural import BinauralSpec, condition
from otoscope.audio.gammatone import envelope_autocorrelation
from otoscope.core.errors import InputError, UsageError

#: Standard deviation of the amplitude jitter (linear, per ear).
SIGMA_EPS = 0.25
#: Standard deviation of the time jitter in seconds (per ear).
SIGMA_DELTA = 105e-6


def jitter_factor(frequency_hz: float, sigma_eps: float = SIGMA_EPS, sigma_delta: float = SIGMA_DELTA) -> float:
    """k above. Raises :class:`InputError` for a frequency that is not positive."""
    if not (math.isfinite(frequency_hz) and frequency_hz > 0.0):
        raise InputError(f"a tone needs a positive frequency, got {frequency_hz} Hz")
    return (1.0 + sigma_eps**2) * math.exp(min(600.0, (2.0 * math.pi * frequency_hz * sigma_delta) ** 2))


def half_period_correlation(frequency_hz: float) -> float:
    """g: what is left of a band's correlation after the delay of half a period that equalises a polarity inversion."""
    return float(envelope_autocorrelation(0.5 / frequency_hz, frequency_hz))


def ec_gain(k: float, phase: float, ratio: float, rho: float) -> float:
    """The gain above (power, re one ear): target phase re the masker (radians), amplitude ratio, masker correlation."""
    return ((1.0 + ratio**2) * k - 2.0 * ratio * math.cos(phase)) / (2.0 * (k - rho))


def target_phase_ratio(spec: BinauralSpec) -> tuple[float, float]:
    """Interaural phase in radians and amplitude ratio right / left of the target of ``spec``."""
    lag = 2e-6 * math.pi * spec.frequency_hz * spec.itd_us
    return {
        "S0": (0.0, 1.0),
        "Spi": (math.pi, 1.0),
        "Sm": (0.0, 0.0),
        "Stau": (lag, 1.0),
        "Sphi": (math.radians(spec.phase_deg), 1.0),
        "Sild": (0.0, 10.0 ** (-spec.ild_db / 20.0)),
    }[spec.target]


def ec_durlach_bmld(
    name: str, frequency_hz: float, sigma_eps: float = SIGMA_EPS, sigma_delta: float = SIGMA_DELTA
) -> float:
    """BMLD in dB of the condition ``name`` (``"N0Spi"``, ``"N_rho=0.9 Spi"``, ``"N0S_tau=500us"``, ...) re N0S0.

    A masker in antiphase is equalised by a delay of half a period. Uncorrelated maskers leave nothing to align, so the
    equalisation that favours the target is taken. Correlations in between, negative ones too, are not re-equalised. A
    masker in one ear only offers nothing to subtract. Raises :class:`UsageError` for the noise alone.
    """
    fields = condition(name)
    if "snr_db" in fields:
        raise UsageError(f"{name!r} has no target to detect", fix="Write a target behind the masker, as in N0Spi.")
    # The band is not used; it only has to hold the tone.
    spec = BinauralSpec(**fields, frequency_hz=frequency_hz, low_hz=0.0, high_hz=2.0 * max(frequency_hz, 1.0))
    k = jitter_factor(frequency_hz, sigma_eps, sigma_delta)
    phase, ratio = target_phase_ratio(spec)
    if spec.masker == "Nm":
        return 0.0
    if spec.masker == "Nu" or (spec.masker == "Nrho" and spec.rho == 0.0):
        gain = ec_gain(k, math.pi, ratio, 0.0)
    elif spec.masker == "Npi":
        gain = ec_gain(k, phase - math.pi, ratio, half_period_correlation(frequency_hz))
    else:
        gain = ec_gain(k, phase, ratio, spec.rho)
    return max(0.0, 10.0 * math.log10(gain)) if gain > 0.0 else 0.0


@dataclass(frozen=True)
class ECDurlach:
    """The closed form as an observer."""

    name: ClassVar[str] = "ec-durlach"
    version: ClassVar[int] = 1

    sigma_eps: float = SIGMA_EPS
    sigma_delta: float = SIGMA_DELTA

    def bmld_db(self, name: str, frequency_hz: float) -> float:
        """See :func:`ec_durlach_bmld`."""
        return ec_durlach_bmld(name, frequency_hz, self.sigma_eps, self.sigma_delta)
