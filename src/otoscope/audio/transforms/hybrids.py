"""Rungs L8-L10: one interaural cue at a time, by mixing magnitudes and phases of short-time spectra (ours).

Let the right ear be n + s in S0 and n - s in Spi. The magnitude-only hybrid gives the right ear of Spi the magnitude of
n - s and the phase of n + s; the phase-only hybrid the other way round. An edited STFT is not the STFT of any sound,
so each hybrid keeps a residue of the other cue: :func:`residue` measures it, and it belongs beside the score. L10 turns
the right ear of all conditions by random phases.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from otoscope.audio.binaural import child
from otoscope.audio.gammatone import analytic_band
from otoscope.audio.stft import Complex, Stft
from otoscope.audio.transforms.bands import Band, through_bands
from otoscope.audio.transforms.base import Float, Signals, Transform, stack
from otoscope.core.errors import InputError, UsageError


@dataclass(frozen=True)
class Hybrid(Transform):
    """The right ear of ``test`` keeps its own ``keep`` and takes the rest from the right ear of ``reference``.

    All other sounds pass unchanged, for they are their own hybrids. Raises :class:`InputError` where one is missing.
    """

    needs: ClassVar[tuple[str, ...]] = ("s0", "spi")

    keep: Literal["magnitude", "phase"]
    reference: str = "s0"
    test: str = "spi"
    window_s: float = 0.032

    def __post_init__(self) -> None:
        if self.keep not in ("magnitude", "phase"):
            raise UsageError(f"a hybrid keeps magnitude or phase, not {self.keep!r}")

    def apply(self, signals: Signals, rate: int, seed: int) -> dict[str, Float]:
        stack(signals)
        for name in (self.reference, self.test):
            if name not in signals:
                raise InputError(f"the hybrid needs {name!r} and was given {', '.join(signals)}")
        stft = Stft.at(rate, self.window_s)
        right = np.stack([signals[self.test][1], signals[self.reference][1]]).astype(np.float64)
        test, reference = stft.forward(right)
        magnitude, phase = (test, reference) if self.keep == "magnitude" else (reference, test)
        out = {name: np.array(x, dtype=np.float64) for name, x in signals.items()}
        out[self.test][1] = stft.inverse(np.abs(magnitude) * _unit(phase), right.shape[-1])
        return out


@dataclass(frozen=True)
class RandomPhase(Transform):
    """L10: in each band of one ERB the right ear of all conditions is turned by a random phase that changes ``rate_hz``
    times a second, the same for all conditions of a seed.

    Cells as small as those of an STFT would not survive resynthesis: their magnitudes would be random too. These keep
    about half of the magnitude cue (in dB) and next to nothing of the phase. Bands from ``low_hz`` to ``high_hz``; the
    rest is dropped, from both ears.
    """

    rate_hz: float = 16.0
    low_hz: float = 50.0
    high_hz: float = 8000.0

    def change(self, x: Float, rate: int, seed: int) -> Float:
        def turn(k: int, band: Band, baseband: Complex) -> Complex:
            steps = round(self.rate_hz / band.bin_hz)
            draws = child(seed, "random-phase", k).standard_normal((2 * steps + 1, 2))
            spectrum = np.zeros(band.size, dtype=np.complex128)
            spectrum[np.arange(-steps, steps + 1)] = draws[:, 0] + 1j * draws[:, 1]
            out = baseband.copy()
            out[:, 1] *= _unit(np.fft.ifft(spectrum))
            return out

        return through_bands(x, rate, self.low_hz, self.high_hz, turn)


@dataclass(frozen=True)
class Residue:
    """RMS interaural level difference in dB and phase difference in radians of a sound in the ERB of the target."""

    ild_rms_db: float
    ipd_rms_rad: float


def residue(sound: Float, rate: int, frequency_hz: float) -> Residue:
    """What cues ``sound [2, n]`` really holds at ``frequency_hz``, weighted by the product of the two envelopes."""
    a, b = analytic_band(np.asarray(sound, dtype=np.float64), rate, frequency_hz)
    product = a * b.conj()
    weight = np.abs(product)
    if weight.sum() == 0.0:
        raise InputError(f"one ear is silent at {frequency_hz:g} Hz: there are no interaural cues")
    audible = weight > 1e-12 * weight.max()
    ild = 20.0 * np.log10(np.abs(a[audible]) / np.abs(b[audible]))
    ipd = np.angle(product[audible])
    mean = [float(np.average(v**2, weights=weight[audible])) for v in (ild, ipd)]
    return Residue(float(np.sqrt(mean[0])), float(np.sqrt(mean[1])))


def _unit(spectrum: Complex) -> Complex:
    modulus = np.abs(spectrum)
    return np.divide(spectrum, modulus, out=np.ones_like(spectrum), where=modulus > 0.0)
