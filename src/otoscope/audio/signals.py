"""Signals and levels in plain float64 numpy: tones, band noise, ramps, decibels, mixing at a given SNR.

Arrays have time on the last axis and may have any axes before it. Levels are in dBFS with 0 dBFS = an RMS of 1, so a
full-scale sine is at -3.01 dBFS. Every random draw takes the caller's generator.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from otoscope.core.errors import InputError, UsageError

Array = NDArray[np.float64]


def samples(duration_s: float, rate: int) -> int:
    """Whole samples nearest to ``duration_s``; at least one is required (:class:`UsageError`)."""
    n = round(duration_s * rate) if math.isfinite(duration_s) else 0
    if n < 1:
        raise UsageError(f"a duration of {duration_s} s at {rate} Hz holds no sample")
    return n


def tone(frequency_hz: float, duration_s: float, rate: int, *, phase_rad: float = 0.0, amplitude: float = 1.0) -> Array:
    """``amplitude * sin(2 pi f t + phase)``, ``[n]``. Raises :class:`UsageError` outside 0 < f < rate / 2."""
    if not 0 < frequency_hz < rate / 2:
        raise UsageError(f"a tone of {frequency_hz} Hz does not fit below half of {rate} Hz")
    t = np.arange(samples(duration_s, rate)) / rate
    return amplitude * np.sin(2 * np.pi * frequency_hz * t + phase_rad)


def noise(
    duration_s: float,
    rate: int,
    rng: np.random.Generator,
    *,
    band_hz: tuple[float, float] | None = None,
    rms: float = 1.0,
) -> Array:
    """Gaussian noise ``[n]`` of exactly the given RMS; ``band_hz`` keeps the DFT bins inside it, edges included.

    Raises :class:`UsageError` when the band is empty, reversed or beyond half the rate, or holds no bin.
    """
    n = samples(duration_s, rate)
    x = rng.standard_normal(n)
    if band_hz is not None:
        x = band_pass(x, rate, band_hz)
    return x * (rms / root_mean_square(x))


def band_pass(x: ArrayLike, rate: int, band_hz: tuple[float, float]) -> Array:
    """The DFT bins of ``x`` inside ``band_hz``: linear phase, infinitely steep, periodic at the ends."""
    x = np.asarray(x, dtype=np.float64)
    low, high = band_hz
    if not 0 <= low < high <= rate / 2:
        raise UsageError(f"the band {low} to {high} Hz does not fit below half of {rate} Hz")
    f = np.fft.rfftfreq(x.shape[-1], 1 / rate)
    keep = (f >= low) & (f <= high)
    if not keep.any():
        raise UsageError(f"the band {low} to {high} Hz holds no DFT bin of {x.shape[-1] / rate:.4f} s of sound")
    return np.fft.irfft(np.fft.rfft(x) * keep, x.shape[-1])


def ramp(x: ArrayLike, rate: int, rise_s: float, fall_s: float | None = None) -> Array:
    """``x`` with raised-cosine ends; ``fall_s`` defaults to ``rise_s``. The two must fit into ``x``."""
    x = np.array(x, dtype=np.float64)
    rise, fall = (round(s * rate) for s in (rise_s, rise_s if fall_s is None else fall_s))
    if rise < 0 or fall < 0 or rise + fall > x.shape[-1]:
        raise UsageError(f"ramps of {rise} and {fall} samples do not fit into {x.shape[-1]}")
    if rise:
        x[..., :rise] *= raised_cosine(rise)
    if fall:
        x[..., -fall:] *= raised_cosine(fall)[::-1]
    return x


def raised_cosine(n: int) -> Array:
    """The rising half of a Hann window, ``[n]``, sampled at bin centres so that rise + fall = 1 in a cross-fade."""
    return 0.5 - 0.5 * np.cos(np.pi * (np.arange(n) + 0.5) / n)


def db(amplitude_ratio: ArrayLike) -> Array:
    """20 log10 of an amplitude ratio; 0 gives -inf without a warning."""
    with np.errstate(divide="ignore"):
        return np.asarray(20 * np.log10(np.abs(np.asarray(amplitude_ratio, dtype=np.float64))))


def from_db(level_db: float) -> float:
    """Amplitude ratio of a level in dB."""
    return float(10 ** (level_db / 20))


def root_mean_square(x: ArrayLike) -> float:
    """RMS over all axes together: the joint level of all channels."""
    return float(np.sqrt(np.mean(np.square(np.asarray(x, dtype=np.float64)))))


def set_level(x: ArrayLike, dbfs: float) -> Array:
    """``x`` scaled by one gain (all channels jointly) to an RMS of ``dbfs``; silence is an :class:`InputError`."""
    x = np.asarray(x, dtype=np.float64)
    now = root_mean_square(x)
    if now == 0:
        raise InputError("silence cannot be set to a level")
    return x * (from_db(dbfs) / now)


def add(*signals: ArrayLike) -> Array:
    """Sum of signals of one shape; a different shape is an :class:`InputError`, never cut or padded."""
    arrays = [np.asarray(s, dtype=np.float64) for s in signals]
    shapes = {a.shape for a in arrays}
    if len(shapes) != 1:
        raise InputError(f"signals of different shapes cannot be added: {sorted(shapes)}")
    return np.sum(arrays, axis=0)
