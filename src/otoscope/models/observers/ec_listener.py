"""The EC model as a listener in a two-interval task: thresholds from running noise, hence a true BMLD.

Each trial has two independent noises, one with the tone; the listener picks the interval with the larger decision
variable of :mod:`otoscope.models.observers.ec_signal`, by the better of its two paths. All pairs of intervals are
compared, so the proportion correct is the area under the ROC. Both powers are quadratic in the tone's amplitude, so a
token is filtered once and serves every SNR (protocol and shortcut are ours).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from otoscope.audio.binaural import BinauralSpec
from otoscope.audio.stimuli import render
from otoscope.core.errors import InputError
from otoscope.models.observers.ec_signal import ECSignal, band_signals

Float = NDArray[np.float64]

#: Broadband SNRs between which thresholds are searched, in dB.
SEARCH_DB = (-70.0, 20.0)


def proportion_correct(signal: Float, noise: Float) -> float:
    """Share of all pairs whose signal interval has the larger value (ties count half). Arrays ``[n]``, ``[m]``."""
    ranks = rankdata(np.concatenate([signal, noise]))
    n, m = len(signal), len(noise)
    return float((ranks[:n].sum() - n * (n + 1) / 2.0) / (n * m))


@dataclass(frozen=True)
class ECListener:
    """``n_tokens`` trials; a threshold is the SNR of ``correct`` (0.794: three-down one-up). ``spec`` is the stimulus
    (0.5 s, 0-8 kHz, broadband SNR); its condition, frequency, SNR, normalisation and rove are set here."""

    name: ClassVar[str] = "ec-listener"
    version: ClassVar[int] = 1

    n_tokens: int = 500
    correct: float = 0.794
    seed: int = 0
    rate: int = 16000
    observer: ECSignal = field(default_factory=ECSignal)
    spec: BinauralSpec = field(default_factory=lambda: BinauralSpec(low_hz=0.0, high_hz=8000.0, duration_s=0.5))

    def threshold_db(self, name: str, frequency_hz: float) -> float:
        """Broadband SNR at threshold of condition ``name`` in dB, by the better path.

        Raises :class:`InputError` where neither path reaches the criterion within SEARCH_DB.
        """
        found = [t for t in self.path_thresholds_db(name, frequency_hz).values() if t is not None]
        if not found:
            raise InputError(f"{name} at {frequency_hz:g} Hz is not heard up to {SEARCH_DB[1]:g} dB SNR")
        return min(found)

    def bmld_db(self, name: str, frequency_hz: float) -> float:
        """Threshold of N0S0 minus threshold of ``name``, in dB."""
        return self.threshold_db("N0S0", frequency_hz) - self.threshold_db(name, frequency_hz)

    def path_thresholds_db(self, name: str, frequency_hz: float) -> dict[str, float | None]:
        """Thresholds by path (``ec``, ``monaural``); None where a path does not reach the criterion."""
        spec = replace(self.spec, frequency_hz=frequency_hz, snr_db=0.0, normalise="none", level_rove_db=0.0)
        signal, noise = self._powers(spec.with_condition(name))
        return {path: self._threshold(signal[i], noise[i]) for i, path in enumerate(("ec", "monaural"))}

    def _powers(self, spec: BinauralSpec) -> tuple[Float, Float]:
        """Signal intervals ``[2 paths, 3, n]`` (coefficients of amplitude^0, ^1, ^2) and noise intervals ``[2, n]``."""
        rate, f0 = self.rate, spec.frequency_hz
        seeds = [self.seed + i for i in range(self.n_tokens)]
        alone = [render(spec.noise_alone(), s, rate, "noise") for s in seeds]
        target = render(spec, seeds[0], rate, "signal") - render(spec.noise_alone(), seeds[0], rate, "signal")
        fitted = self.observer.calibrate(alone[:50], rate, f0, target)
        noise = np.array([fitted.powers(x, rate, f0) for x in alone]).T
        signal = np.empty((2, 3, self.n_tokens))
        for i, s in enumerate(seeds):
            masker = render(spec.noise_alone(), s, rate, "signal")
            n = band_signals(masker, rate, f0, fitted.delay_s_ or 0.0)
            t = band_signals(render(spec, s, rate, "signal") - masker, rate, f0, fitted.delay_s_ or 0.0)
            # A quadratic form is known from its values at amplitudes -1, 0 and 1.
            minus, zero, plus = (np.array(fitted.band_powers(n + a * t, f0)) for a in (-1.0, 0.0, 1.0))
            signal[:, :, i] = np.stack([zero, (plus - minus) / 2.0, (plus + minus) / 2.0 - zero], axis=1)
        return signal, noise

    def _threshold(self, signal: Float, noise: Float) -> float | None:
        def correct(snr_db: float) -> float:
            amplitude = 10.0 ** (snr_db / 20.0)
            return proportion_correct(signal[0] + amplitude * signal[1] + amplitude**2 * signal[2], noise)

        low, high = SEARCH_DB
        if correct(high) < self.correct:
            return None
        while high - low > 0.01:
            middle = 0.5 * (low + high)
            low, high = (low, middle) if correct(middle) >= self.correct else (middle, high)
        return 0.5 * (low + high)
