"""Bands one ERB wide as complex baseband signals: the analysis behind the vocoder rungs.

Band filters are cosines on the ERB-number scale, two bands apart at their zeros, so squared responses add up to one. A
band is cut out of the spectrum of the whole sound and brought down to 0 Hz at four times its own bandwidth, which makes
a bank of 30 bands cost about as much as a handful of transforms. Bands are set in Hz: the same at every sample rate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from otoscope.audio.erb import erb_centres, erb_number
from otoscope.core.errors import InputError

Float = NDArray[np.float64]
Complex = NDArray[np.complex128]
OVERSAMPLING = 4


@dataclass(frozen=True)
class Band:
    """Bins ``first .. first + len(response)`` of the whole sound's spectrum, seen through ``response``."""

    first: int
    response: Float
    bin_hz: float

    @property
    def size(self) -> int:
        """Samples of the baseband signal."""
        return int(scipy.fft.next_fast_len(OVERSAMPLING * len(self.response)))

    def cut(self, spectrum: Complex) -> Complex:
        """Spectrum ``[..., bins]`` -> analytic baseband signal ``[..., size]`` of the filtered band."""
        part = spectrum[..., self.first : self.first + len(self.response)] * self.response
        padded = np.zeros((*part.shape[:-1], self.size), dtype=np.complex128)
        padded[..., : part.shape[-1]] = part
        return np.asarray(np.fft.ifft(padded, axis=-1) * self.size)

    def filtered(self, baseband: Complex) -> Complex:
        """Baseband signal ``[..., size]`` -> its bins ``[..., len(response)]`` after the band's filter."""
        return np.asarray(np.fft.fft(baseband, axis=-1)[..., : len(self.response)] / self.size * self.response)


def bank(n: int, rate: int, low_hz: float, high_hz: float) -> Iterator[Band]:
    """Bands one ERB apart, the first centred at ``low_hz``, the last ending below ``high_hz``.

    Bands that hold no bin of a sound of ``n`` samples are left out. Raises :class:`InputError` where ``high_hz`` lies
    beyond the Nyquist frequency.
    """
    if high_hz > rate / 2:
        raise InputError(f"bands up to {high_hz} Hz do not fit a rate of {rate} Hz")
    bin_hz = rate / n
    numbers = erb_number(np.arange(n // 2 + 1) * bin_hz)
    for centre in erb_number(erb_centres(low_hz, high_hz)):
        if centre + 1.0 > erb_number(high_hz):
            return
        inside = np.flatnonzero(np.abs(numbers - centre) < 1.0)
        inside = inside[inside > 0]
        if inside.size:
            response = np.cos(0.5 * np.pi * (numbers[inside] - centre))
            yield Band(int(inside[0]), np.asarray(response), bin_hz)


def through_bands(
    x: Float, rate: int, low_hz: float, high_hz: float, change: Callable[[int, Band, Complex], Complex]
) -> Float:
    """``x [sounds, 2, n]`` through the bank.

    ``change(k, band, baseband)`` replaces the signal ``[sounds, 2, size]`` of band ``k``, which is then filtered again,
    brought to the power it had before, and added to the output.
    """
    n = x.shape[-1]
    spectrum = np.fft.rfft(x, axis=-1)
    out = np.zeros_like(spectrum)
    for k, band in enumerate(bank(n, rate, low_hz, high_hz)):
        before = band.cut(spectrum)
        bins = band.filtered(change(k, band, before))
        # RMS of the analytic signal: over time before, over bins (Parseval) after.
        wanted = np.mean(np.abs(before) ** 2, axis=-1, keepdims=True)
        got = np.sum(np.abs(bins) ** 2, axis=-1, keepdims=True)
        scale = np.sqrt(np.divide(wanted, got, out=np.zeros_like(wanted), where=got > 0.0))
        out[..., band.first : band.first + len(band.response)] += bins * scale
    return np.asarray(np.fft.irfft(out, n, axis=-1))
