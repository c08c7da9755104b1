"""Building blocks of the generator, in float64 at one internal rate.

Everything is rendered at :data:`RATE` and resampled last, so a seed is the same sound at every rate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.signal import lfilter

Array = NDArray[np.float64]

#: Internal rate in Hz.
RATE = 48_000


def seconds(duration_s: float) -> int:
    """Samples of ``duration_s``, at least one."""
    return max(1, round(duration_s * RATE))


def time(n: int) -> Array:
    """Seconds, ``[n]``."""
    return np.arange(n) / RATE


def decay(n: int, tau_s: float, attack_s: float = 0.001) -> Array:
    """A short linear attack, then ``exp(-t / tau)``, ``[n]``."""
    t = time(n)
    return np.minimum(t / attack_s, 1.0) * np.exp(-np.maximum(t - attack_s, 0.0) / tau_s)


def hold(n: int, attack_s: float, release_s: float, sag: float = 0.0) -> Array:
    """Raised-cosine attack and release around a plateau that sags linearly by the share ``sag``, ``[n]``."""
    t, total = time(n), n / RATE
    scale = min(1.0, total / (attack_s + release_s))
    up = np.clip(t / max(attack_s * scale, 1e-4), 0, 1)
    down = np.clip((total - t) / max(release_s * scale, 1e-4), 0, 1)
    shape = (0.5 - 0.5 * np.cos(np.pi * up)) * (0.5 - 0.5 * np.cos(np.pi * down))
    return shape * (1 - sag * t / total)


def shaped(x: Array, gain: Callable[[Array], Array]) -> Array:
    """``x`` with its spectrum multiplied by ``gain(frequency_hz)``, zero phase; the tail wraps, so pad what rings."""
    size = fft.next_fast_len(len(x), real=True)
    f = fft.rfftfreq(size, 1 / RATE)
    return fft.irfft(fft.rfft(x, size) * gain(f), size)[: len(x)]


def coloured(n: int, rng: np.random.Generator, slope_db: float, low_hz: float = 30.0, high_hz: float = 16e3) -> Array:
    """Gaussian noise of unit RMS that changes by ``slope_db`` per octave between two soft edges, ``[n]``."""

    def gain(f: Array) -> Array:
        f = np.maximum(f, 1.0)
        return (f / 1e3) ** (slope_db / 6.02) / np.sqrt(1 + (low_hz / f) ** 6) / np.sqrt(1 + (f / high_hz) ** 6)

    x = shaped(rng.standard_normal(n), gain)
    return x / np.sqrt(np.mean(x**2))


def peaks(f: Array, centres: Iterable[tuple[float, float, float]], floor: float = 0.05) -> Array:
    """A gain curve of resonances ``(centre_hz, width_hz, gain)`` on a floor."""
    total = np.full_like(f, floor)
    for centre, width, height in centres:
        total = total + height / np.sqrt(1 + ((f - centre) / (width / 2)) ** 2)
    return total


def ring(x: Array, frequency_hz: float, tau_s: float) -> Array:
    """``x`` through a two-pole resonator of unit peak gain that rings for ``tau_s``."""
    r = np.exp(-1 / (tau_s * RATE))
    w = 2 * np.pi * frequency_hz / RATE
    return np.asarray(
        lfilter([(1 - r) * np.sqrt(1 - 2 * r * np.cos(2 * w) + r * r)], [1, -2 * r * np.cos(w), r * r], x)
    )


def harmonics(f0: Array, amplitudes: Array, rng: np.random.Generator, highest_hz: float = 15e3) -> Array:
    """Sum of ``amplitudes[k-1] * sin(k phase)`` over a moving fundamental ``f0`` ``[n]`` in Hz.

    ``amplitudes`` is ``[k]`` or ``[k, n]``; partials that would pass ``highest_hz`` are left out, start phases random.
    """
    phase = 2 * np.pi * np.cumsum(f0) / RATE
    turn = np.exp(1j * phase)
    count = min(len(amplitudes), max(1, int(highest_hz / f0.max())))
    starts = np.exp(2j * np.pi * rng.random(len(amplitudes)))
    out = np.zeros(len(f0))
    power = np.ones(len(f0), dtype=complex)
    for k in range(count):
        power = power * turn
        out += amplitudes[k] * (power * starts[k]).imag
    return out


def partials(frequencies_hz: Iterable[float], gains: Iterable[float], taus_s: Iterable[float], n: int) -> Array:
    """Decaying sines with a 1 ms attack, ``[n]``; those beyond 20 kHz are left out."""
    t, out = time(n), np.zeros(n)
    for f, gain, tau in zip(frequencies_hz, gains, taus_s, strict=True):
        if f < 20e3:
            out += gain * np.exp(-t / tau) * np.sin(2 * np.pi * f * t)
    return out * np.minimum(t / 0.001, 1.0)


def drift(n: int, rng: np.random.Generator, rate_hz: float) -> Array:
    """A slow smooth wander within about +/-1, ``rate_hz`` turning points a second, ``[n]``."""
    count = int(np.ceil(n / RATE * rate_hz)) + 4
    points = rng.uniform(-1, 1, count)
    position = time(n) * rate_hz + rng.random()
    left = position.astype(int)
    blend = 0.5 - 0.5 * np.cos(np.pi * (position - left))
    return points[left] * (1 - blend) + points[left + 1] * blend


def place(out: Array, x: Array, start: int) -> None:
    """Add ``x`` to ``out`` from sample ``start``; what lies beyond the end is lost."""
    if start < len(out):
        end = min(len(out), start + len(x))
        out[start:end] += x[: end - start]


def onsets(n: int, period_s: float, spread: float, rng: np.random.Generator, first_s: float = 0.05) -> list[int]:
    """Start samples about ``period_s`` apart, each gap changed by up to the share ``spread``; at least one."""
    starts: list[int] = []
    at = min(first_s, 0.2 * n / RATE)
    while not starts or at < n / RATE - 0.02:
        starts.append(round(at * RATE))
        at += period_s * (1 + spread * rng.uniform(-1, 1))
    return starts


def poisson(n: int, per_second: float, rng: np.random.Generator) -> NDArray[np.int64]:
    """Sorted random sample positions, ``per_second`` on average; at least one."""
    count = max(1, rng.poisson(per_second * n / RATE))
    return np.sort(rng.integers(0, n, count))
