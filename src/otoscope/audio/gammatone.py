"""Complex gammatone filter of order four: one cochlear band as an analytic signal.

The continuous-time complex gammatone t^3 exp(-2 pi b t) exp(2 pi i f0 t) has the response 1 / (1 + i (f - f0) / b)^4.
It is applied on the positive frequencies of a padded FFT, so the filter is the same at every sample rate and the
output is analytic (Hohmann 2002; b = 1.019 ERB of Glasberg & Moore 1990). Gain is 1 at f0.
"""

from __future__ import annotations

import numpy as np
import scipy.fft
from numpy.typing import ArrayLike, NDArray

from otoscope.audio.erb import erb_hz
from otoscope.core.errors import InputError

Float = NDArray[np.float64]
Complex = NDArray[np.complex128]

#: Bandwidth parameter b in ERBs for order four.
B_PER_ERB = 1.019


def bandwidth_hz(frequency_hz: float) -> float:
    """The parameter b of the filter at ``frequency_hz``, in Hz."""
    return B_PER_ERB * erb_hz(frequency_hz)


def response(frequencies_hz: ArrayLike, centre_hz: float) -> Complex:
    """Complex response at ``frequencies_hz`` (positive frequencies; any shape)."""
    detuning = (np.asarray(frequencies_hz, dtype=np.float64) - centre_hz) / bandwidth_hz(centre_hz)
    return np.asarray((1.0 + 1j * detuning) ** -4)


def analytic_band(x: Float, rate: int, centre_hz: float) -> Complex:
    """Analytic band signal ``[..., n]`` of ``x [..., n]``: real part = filtered signal, modulus = Hilbert envelope.

    Raises :class:`InputError` where the centre is not between 0 and the Nyquist frequency.
    """
    if not 0.0 < centre_hz < rate / 2:
        raise InputError(f"there is no gammatone band at {centre_hz} Hz for a rate of {rate} Hz")
    n = x.shape[-1]
    ring = int(np.ceil(5.0 / bandwidth_hz(centre_hz) * rate))  # the impulse response is below 1e-9 after 5 / b
    n_fft = scipy.fft.next_fast_len(n + ring, real=True)
    spectrum = np.fft.rfft(x, n_fft, axis=-1)
    frequencies = np.arange(n_fft // 2 + 1) * (rate / n_fft)
    full = np.zeros((*x.shape[:-1], n_fft), dtype=np.complex128)
    full[..., : n_fft // 2 + 1] = 2.0 * spectrum * response(frequencies, centre_hz)
    full[..., 0] *= 0.5
    if n_fft % 2 == 0:
        full[..., n_fft // 2] *= 0.5
    return np.asarray(np.fft.ifft(full, axis=-1)[..., :n])


def envelope_autocorrelation(delay_s: ArrayLike, centre_hz: float) -> Float:
    """Normalised envelope autocorrelation of band-filtered white noise at ``delay_s`` (any shape).

    The power response (1 + ((f - f0) / b)^2)^-4 transforms to exp(-x) (1 + x + 2 x^2 / 5 + x^3 / 15) with
    x = 2 pi b |delay|.
    """
    x = 2.0 * np.pi * bandwidth_hz(centre_hz) * np.abs(np.asarray(delay_s, dtype=np.float64))
    return np.asarray(np.exp(-x) * (1.0 + x + 0.4 * x**2 + x**3 / 15.0))
