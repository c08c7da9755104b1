"""GCC-PHAT: the delay between the ears from the phase of their cross-spectrum alone.

G = X conj(Y) / |X conj(Y)| of the zero-padded spectra; its inverse transform peaks at the delay (Knapp & Carter 1976,
IEEE TASSP 24:320). Lags are in microseconds, positive where the right ear lags, that is, where the left ear leads.

Two traps. Diotic sounds have G = 1 at every bin, whatever they contain, so distances between them are 0: add a floor of
independent noise per ear. And ``eps`` decides what empty bins say: set ``band_hz`` where a sound was upsampled.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from otoscope.audio.erb import erb_hz
from otoscope.audio.gammatone import analytic_band
from otoscope.core.errors import InputError

Float = NDArray[np.float64]


def phat_spectrum(x: Float, n_fft: int, eps: float = 1e-24) -> NDArray[np.complex128]:
    """Whitened cross-spectrum ``[..., n_fft // 2 + 1]`` of ``x [2, ..., n]``: modulus 1, or 0 in empty bins.

    Empty are bins whose cross-power is below ``eps`` of the strongest; the default drops what can only be rounding in
    float64.
    """
    left, right = np.fft.rfft(x, n_fft, axis=-1)
    cross = np.conj(left) * right
    modulus = np.abs(cross)
    filled = modulus > eps * np.max(modulus, axis=-1, keepdims=True)
    return np.divide(cross, modulus, out=np.zeros_like(cross), where=filled)


def gcc_phat(
    x: Float,
    rate: int,
    max_lag_s: float = 1e-3,
    interpolation: int = 16,
    band_hz: tuple[float, float] | None = None,
) -> tuple[Float, Float]:
    """Lags ``[m]`` in microseconds and the correlation ``[..., m]`` of ``x [2, ..., n]``.

    ``interpolation`` times zero-padding of the spectrum refines the lags; ``band_hz`` keeps only these bins. Raises
    :class:`InputError` on a shape without two ears or an empty band.
    """
    if x.ndim < 2 or x.shape[0] != 2:
        raise InputError(f"GCC-PHAT needs an array [2, n], got {x.shape}")
    n_fft = 2 * scipy.fft.next_fast_len(x.shape[-1], real=True)
    spectrum = phat_spectrum(x, n_fft)
    if band_hz is not None:
        frequencies = np.arange(n_fft // 2 + 1) * (rate / n_fft)
        keep = (frequencies >= band_hz[0]) & (frequencies <= band_hz[1])
        if not keep.any():
            raise InputError(f"the band {band_hz[0]}-{band_hz[1]} Hz holds no bin")
        spectrum = spectrum * keep
    fine = np.fft.irfft(spectrum, n_fft * interpolation, axis=-1) * interpolation
    reach = int(np.ceil(max_lag_s * rate * interpolation))
    lags = np.arange(-reach, reach + 1)
    return np.asarray(lags * (1e6 / (rate * interpolation))), np.asarray(fine[..., lags])


def lag_us(
    x: Float, rate: int, max_lag_s: float = 1e-3, interpolation: int = 16, band_hz: tuple[float, float] | None = None
) -> float:
    """The delay of the right ear against the left in microseconds: the highest peak, refined by a parabola."""
    lags, correlation = gcc_phat(x, rate, max_lag_s, interpolation, band_hz)
    k = int(np.argmax(correlation))
    if k in (0, len(lags) - 1):
        return float(lags[k])
    before, at, after = correlation[k - 1 : k + 2]
    curvature = before - 2.0 * at + after
    offset = 0.5 * (before - after) / curvature if curvature < 0.0 else 0.0
    return float(lags[k] + offset * (lags[1] - lags[0]))


@dataclass(frozen=True)
class GccPhat:
    """Decision variable: how far the ears are from being one signal in the ERB around the target.

    1 minus the PHAT-weighted coherence at lag 0, that is, 1 - mean cos(IPD) over the bins of the band: 0 for N0 and
    N0S0, up to 2. ``sensor_noise_db`` adds independent noise to each ear at that level re the RMS of the sound (seeded,
    the same for every sound of a length), as a microphone would.
    """

    name: ClassVar[str] = "gcc-phat"
    version: ClassVar[int] = 1

    sensor_noise_db: float | None = None
    seed: int = 0

    def decision(self, audio: NDArray[np.floating], rate: int, frequency_hz: float) -> float:
        """``audio`` is ``[2, n]``. Raises :class:`InputError` where the band holds no bin."""
        x = add_sensor_noise(np.asarray(audio, dtype=np.float64), self.sensor_noise_db, self.seed)
        band = analytic_band(x, rate, frequency_hz).real
        half = erb_hz(frequency_hz) / 2.0
        n_fft = scipy.fft.next_fast_len(2 * x.shape[-1], real=True)
        frequencies = np.arange(n_fft // 2 + 1) * (rate / n_fft)
        keep = np.abs(frequencies - frequency_hz) <= half
        if not keep.any():
            raise InputError(f"{x.shape[-1]} samples hold no bin within an ERB of {frequency_hz} Hz")
        return float(1.0 - np.mean(phat_spectrum(band, n_fft)[keep].real))

    def lag_us(self, audio: NDArray[np.floating], rate: int, band_hz: tuple[float, float] | None = None) -> float:
        """The delay of the right ear in microseconds (see :func:`lag_us`)."""
        x = add_sensor_noise(np.asarray(audio, dtype=np.float64), self.sensor_noise_db, self.seed)
        return lag_us(x, rate, band_hz=band_hz)


def add_sensor_noise(x: Float, level_db: float | None, seed: int) -> Float:
    """``x [2, n]`` with independent white noise in each ear, ``level_db`` re the RMS of ``x`` (None: none)."""
    if level_db is None:
        return x
    noise = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(0,))).standard_normal(x.shape)
    return np.asarray(x + np.sqrt(np.mean(x**2)) * 10.0 ** (level_db / 20.0) * noise)
