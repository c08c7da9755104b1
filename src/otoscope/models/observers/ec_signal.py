"""Equalisation and cancellation on waveforms, with the expectation over the jitter instead of draws of it.

Both ears pass one complex gammatone band at the target, giving a and b. For a delay tau and a gain alpha of the right
ear the expected power of the jittered difference is

    E = (1 + s_e^2)(P_L + alpha^2 P_R) - 2 alpha exp(-(w s_d)^2) Re[mean a(t) conj b(t - tau)]

tau is fitted once, to the least E over an ensemble of noise alone, and then held for all sounds. Uncorrelated noise has
no such tau; there it is fitted to the largest ratio of target E to noise E, which needs the target alone. (Durlach 1963
for the model; the ensemble fit and the edges are ours.) Decision variables: log E, and log P_L of the left ear alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from otoscope.audio.gammatone import analytic_band
from otoscope.core.errors import InputError, UsageError
from otoscope.models.observers.ec import SIGMA_DELTA, SIGMA_EPS

Float = NDArray[np.float64]
Complex = NDArray[np.complex128]

#: Cut from both ends of a band signal: the onset of the filter and the gate of the stimulus.
EDGE_S = 0.03
#: An ensemble whose best correlation is below this has no delay worth fitting (ours).
UNCORRELATED = 0.3
#: Delays are searched on this grid: at 1 kHz half a step is 1 degree.
DELAY_STEP_S = 5e-6


def band_signals(audio: NDArray[np.floating], rate: int, frequency_hz: float, delay_s: float = 0.0) -> Complex:
    """Analytic band signals ``[2, m]`` of ``audio [2, n]`` without their edges, the right one delayed by ``delay_s``.

    Raises :class:`InputError` on another shape or where nothing is left between the edges.
    """
    x = np.asarray(audio, dtype=np.float64)
    if x.ndim != 2 or x.shape[0] != 2:
        raise InputError(f"the EC observer needs an array [2, n], got {x.shape}")
    edge = math.ceil(EDGE_S * rate)
    if x.shape[1] <= 2 * edge:
        raise InputError(
            f"{x.shape[1] / rate:.3f} s leave nothing between edges of {EDGE_S} s", fix="Use longer audio."
        )
    bands = analytic_band(x, rate, frequency_hz)
    if delay_s != 0.0:
        turn = np.exp(-2j * np.pi * np.fft.fftfreq(x.shape[1], 1.0 / rate) * delay_s)
        bands[1] = np.fft.ifft(np.fft.fft(bands[1]) * turn)
    return bands[:, edge:-edge]


@dataclass(frozen=True)
class ECSignal:
    """An observer of one frequency. :meth:`calibrate` gives the fitted copy; ``path`` is what :meth:`decision` returns.

    ``max_delay_s`` None allows half a period of the target either way; 700e-6 is a human head.
    """

    name: ClassVar[str] = "ec-signal"
    version: ClassVar[int] = 1

    path: Literal["ec", "monaural"] = "ec"
    sigma_eps: float = SIGMA_EPS
    sigma_delta: float = SIGMA_DELTA
    equal_power: bool = False
    max_delay_s: float | None = None
    delay_s_: float | None = None
    gain_: float | None = None

    def calibrate(
        self,
        noise_alone: Sequence[NDArray[np.floating]],
        rate: int,
        frequency_hz: float,
        target_alone: NDArray[np.floating] | None = None,
    ) -> ECSignal:
        """Fit delay (and gain, with ``equal_power``) on sounds ``[2, n]`` of noise alone.

        ``target_alone`` is needed, and used, only where the noise is uncorrelated between the ears. Raises
        :class:`InputError` without noises, or where the target is needed and missing.
        """
        if not noise_alone:
            raise InputError("the EC observer is fitted on noise alone and was given none")
        delays = self._delays(frequency_hz)
        left, right, cross = _ensemble(noise_alone, rate, frequency_hz, delays)
        gain = math.sqrt(left / right) if self.equal_power and right > 0.0 else 1.0
        correlation = cross / math.sqrt(left * right) if left * right > 0.0 else np.zeros_like(cross)
        if right > 0.0 and np.max(np.abs(correlation)) < UNCORRELATED:
            if target_alone is None:
                raise InputError(
                    f"these noises are uncorrelated between the ears (at most {np.max(np.abs(correlation)):.2f})",
                    fix="Give target_alone, so that the delay can be fitted to the output signal-to-noise ratio.",
                )
            t_left, t_right, t_cross = _ensemble([target_alone], rate, frequency_hz, delays)
            score = self._residual(t_left, t_right, t_cross, gain, frequency_hz) / self._residual(
                left, right, np.zeros_like(cross), gain, frequency_hz
            )
        else:
            score = -self._residual(left, right, cross, gain, frequency_hz)
        return replace(self, delay_s_=float(delays[int(np.argmax(score))]), gain_=gain)

    def powers(self, audio: NDArray[np.floating], rate: int, frequency_hz: float) -> tuple[float, float]:
        """Expected residual E and left-ear power P_L. Raises :class:`UsageError` before :meth:`calibrate`."""
        if self.delay_s_ is None:
            raise UsageError("the EC observer has not been fitted", fix="Call calibrate with noise alone first.")
        return self.band_powers(band_signals(audio, rate, frequency_hz, self.delay_s_), frequency_hz)

    def band_powers(self, bands: Complex, frequency_hz: float) -> tuple[float, float]:
        """:meth:`powers` of band signals ``[2, m]`` that are already delayed (see :func:`band_signals`)."""
        if self.gain_ is None:
            raise UsageError("the EC observer has not been fitted", fix="Call calibrate with noise alone first.")
        a, b = bands
        left, right, cross = _power(a), _power(b), np.array(np.mean((a * b.conj()).real))
        return float(self._residual(left, right, cross, self.gain_, frequency_hz)), left

    def decision(self, audio: NDArray[np.floating], rate: int, frequency_hz: float) -> float:
        """log E (path ``ec``) or log P_L (``monaural``) of one interval ``[2, n]``; larger where there is a target."""
        residual, left = self.powers(audio, rate, frequency_hz)
        value = residual if self.path == "ec" else left
        if value <= 0.0:
            raise InputError(f"the band at {frequency_hz:g} Hz is silent")
        return math.log(value)

    def _residual(self, left: float, right: float, cross: Float, gain: float, frequency_hz: float) -> Float:
        kept = math.exp(-((2.0 * math.pi * frequency_hz * self.sigma_delta) ** 2))
        return np.asarray((1.0 + self.sigma_eps**2) * (left + gain**2 * right) - 2.0 * gain * kept * cross)

    def _delays(self, frequency_hz: float) -> Float:
        reach = 0.5 / frequency_hz if self.max_delay_s is None else self.max_delay_s
        steps = math.floor(reach / DELAY_STEP_S)
        grid = DELAY_STEP_S * np.arange(-steps, steps + 1)
        # 0 first and the ends last: of equal residuals the smallest delay is taken.
        grid = grid[np.argsort(np.abs(grid), kind="stable")]
        return np.concatenate([grid, [-reach, reach]])


def _power(x: Complex) -> float:
    return float(np.mean(x.real**2 + x.imag**2))


def _ensemble(
    sounds: Sequence[NDArray[np.floating]], rate: int, frequency_hz: float, delays: Float
) -> tuple[float, float, Float]:
    """Mean P_L, P_R and Re C(tau) ``[delays]`` over ``sounds`` of one length; C comes from the mean cross-spectrum."""
    if len({np.shape(sound) for sound in sounds}) != 1:
        raise InputError("the noises to calibrate on differ in length", fix="Render them from one spec.")
    left = right = 0.0
    spectrum = np.zeros(1, dtype=np.complex128)
    for sound in sounds:
        a, b = band_signals(sound, rate, frequency_hz)
        left, right = left + _power(a) / len(sounds), right + _power(b) / len(sounds)
        spectrum = spectrum + np.fft.fft(a) * np.fft.fft(b).conj() / (a.shape[-1] ** 2 * len(sounds))
    strong = np.flatnonzero(np.abs(spectrum) > 1e-9 * np.max(np.abs(spectrum)))
    frequencies = np.fft.fftfreq(len(spectrum), 1.0 / rate)[strong]
    cross = np.exp(2j * np.pi * np.outer(delays, frequencies)) @ spectrum[strong]
    return left, right, np.asarray(cross.real)
