"""Detection by complex interaural coherence in one band (after Encke & Dietz 2022; Eurich, Encke, Ewert & Dietz 2022).

The band around the target has the coherence gamma = <a conj b> / sqrt(<|a|^2> <|b|^2>). After a Fisher transform,

    z = atanh(RHO_MAX |gamma|) exp(i arg gamma),      d'_binaural = |z - z_noise| / SIGMA_BINAURAL
    d'_monaural = (power increase) / SIGMA_MONAURAL,   d'^2 = d'_binaural^2 + d'_monaural^2

RHO_MAX < 1 is internal decorrelation. One band, without the cited models' interference across bands; how the two paths
combine, and closed-form thresholds at d' = 1, are ours. Fine structure is not limited with frequency: for 500 Hz.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from otoscope.audio.binaural import BinauralSpec, condition
from otoscope.core.errors import InputError, UsageError
from otoscope.models.observers.ec import half_period_correlation, target_phase_ratio
from otoscope.models.observers.ec_signal import band_signals

RHO_MAX = 0.9
SIGMA_BINAURAL = 0.2
SIGMA_MONAURAL = 0.4


def coherence(audio: NDArray[np.floating], rate: int, frequency_hz: float) -> complex:
    """Complex coherence of ``audio [2, n]`` in the band at ``frequency_hz``; 0 where an ear is silent."""
    a, b = band_signals(audio, rate, frequency_hz)
    scale = math.sqrt(float(np.mean(np.abs(a) ** 2)) * float(np.mean(np.abs(b) ** 2)))
    return complex(np.mean(a * b.conj())) / scale if scale > 0.0 else 0j


def fisher(gamma: complex, rho_max: float = RHO_MAX) -> complex:
    """The transform above: modulus atanh(rho_max |gamma|), phase of ``gamma``."""
    modulus = min(abs(gamma), 1.0)
    return complex(math.atanh(rho_max * modulus) * np.exp(1j * np.angle(gamma)))


@dataclass(frozen=True)
class CoherenceObserver:
    """d' of one interval against noise alone. :meth:`calibrate` gives the fitted copy."""

    name: ClassVar[str] = "coherence"
    version: ClassVar[int] = 1

    rho_max: float = RHO_MAX
    sigma_binaural: float = SIGMA_BINAURAL
    sigma_monaural: float = SIGMA_MONAURAL
    noise_: complex | None = None
    power_: float | None = None

    def calibrate(
        self, noise_alone: Sequence[NDArray[np.floating]], rate: int, frequency_hz: float
    ) -> CoherenceObserver:
        """Take coherence and left-ear power of the noise from sounds ``[2, n]``. :class:`InputError` without any."""
        if not noise_alone:
            raise InputError("the coherence observer is fitted on noise alone and was given none")
        z = [fisher(coherence(x, rate, frequency_hz), self.rho_max) for x in noise_alone]
        power = [float(np.mean(np.abs(band_signals(x, rate, frequency_hz)[0]) ** 2)) for x in noise_alone]
        return replace(self, noise_=complex(np.mean(z)), power_=float(np.mean(power)))

    def decision(self, audio: NDArray[np.floating], rate: int, frequency_hz: float) -> float:
        """d' of ``audio [2, n]`` against the calibrated noise. :class:`UsageError` before :meth:`calibrate`."""
        if self.noise_ is None or self.power_ is None:
            raise UsageError("the coherence observer has not been fitted", fix="Call calibrate with noise alone first.")
        power = float(np.mean(np.abs(band_signals(audio, rate, frequency_hz)[0]) ** 2))
        return self._d_prime(coherence(audio, rate, frequency_hz), self.noise_, power / self.power_ - 1.0)

    def bmld_db(self, name: str, frequency_hz: float) -> float:
        """Difference in dB between the SNRs (in the band) at which N0S0 and ``name`` reach d' = 1."""
        return 10.0 * math.log10(self._threshold("N0S0", frequency_hz) / self._threshold(name, frequency_hz))

    def _d_prime(self, gamma: complex, z_noise: complex, increment: float) -> float:
        binaural = abs(fisher(gamma, self.rho_max) - z_noise) / self.sigma_binaural
        return math.hypot(binaural, max(0.0, increment) / self.sigma_monaural)

    def _threshold(self, name: str, frequency_hz: float) -> float:
        """SNR (power, in the band) at which the expected coherence and power reach d' = 1, by bisection."""
        fields = condition(name)
        if "snr_db" in fields:
            raise UsageError(f"{name!r} has no target to detect", fix="Write a target behind the masker, as in N0Spi.")
        spec = BinauralSpec(**fields, frequency_hz=frequency_hz, low_hz=0.0, high_hz=2.0 * frequency_hz)
        phase, ratio = target_phase_ratio(spec)
        # An inverted masker is aligned by half a period, which turns the target by pi and costs some correlation.
        rho = {"N0": 1.0, "Npi": half_period_correlation(frequency_hz), "Nrho": spec.rho}.get(spec.masker, 0.0)
        turn = np.exp(1j * (phase - (math.pi if spec.masker == "Npi" else 0.0)))
        masked = 0.0 if spec.masker == "Nm" else 1.0

        def d_prime(snr: float) -> float:
            right = masked + ratio**2 * snr
            gamma = (rho + ratio * snr * turn) / math.sqrt((1.0 + snr) * right) if right > 0.0 else 0j
            return self._d_prime(complex(gamma), fisher(rho, self.rho_max), snr)

        low, high = -60.0, 20.0
        while high - low > 1e-4:
            middle = 0.5 * (low + high)
            low, high = (low, middle) if d_prime(10.0 ** (middle / 10.0)) >= 1.0 else (middle, high)
        return 10.0 ** (high / 10.0)
