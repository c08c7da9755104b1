"""Frequency scales: equivalent rectangular bandwidths and mel.

The ERB is the width of the rectangular filter that passes as much noise as the ear's filter at that frequency
(Glasberg & Moore 1990, eq. 3 and 4). The mel filterbank is the triangular one on the scale 2595 log10(1 + f/700).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from otoscope.core.errors import InputError

Float = NDArray[np.float64]


def erb_hz(frequency_hz: float) -> float:
    """Equivalent rectangular bandwidth in Hz at ``frequency_hz``."""
    return 24.7 * (4.37e-3 * frequency_hz + 1.0)


def erb_number(frequency_hz: ArrayLike) -> Float:
    """Number of ERBs below ``frequency_hz`` (Hz, any shape)."""
    return np.asarray(21.4 * np.log10(1.0 + 4.37e-3 * np.asarray(frequency_hz, dtype=np.float64)))


def erb_number_to_hz(number: ArrayLike) -> Float:
    """Inverse of :func:`erb_number`."""
    return np.asarray((10.0 ** (np.asarray(number, dtype=np.float64) / 21.4) - 1.0) / 4.37e-3)


def erb_centres(low_hz: float, high_hz: float, bands_per_erb: float = 1.0) -> Float:
    """Centre frequencies ``[bands]`` in Hz, evenly spaced in ERB numbers from ``low_hz`` to at most ``high_hz``.

    Raises :class:`InputError` unless 0 < low < high.
    """
    if not 0.0 < low_hz < high_hz:
        raise InputError(f"a filterbank from {low_hz} to {high_hz} Hz has no bands", fix="Give 0 < low_hz < high_hz.")
    first, last = float(erb_number(low_hz)), float(erb_number(high_hz))
    count = int(np.floor((last - first) * bands_per_erb)) + 1
    return erb_number_to_hz(first + np.arange(count) / bands_per_erb)


def mel(frequency_hz: ArrayLike) -> Float:
    """Mel of ``frequency_hz`` (Hz, any shape)."""
    return np.asarray(2595.0 * np.log10(1.0 + np.asarray(frequency_hz, dtype=np.float64) / 700.0))


def mel_to_hz(mels: ArrayLike) -> Float:
    """Inverse of :func:`mel`."""
    return np.asarray(700.0 * (10.0 ** (np.asarray(mels, dtype=np.float64) / 2595.0) - 1.0))


def mel_filterbank(n_mels: int, n_fft: int, rate: int, low_hz: float, high_hz: float) -> Float:
    """Triangles of height 1: ``[n_mels, n_fft // 2 + 1]``.

    Raises :class:`InputError` where the band leaves 0..rate/2, or where the FFT is too coarse and a filter would be
    empty (an empty filter is a constant feature that nobody asked for).
    """
    if not 0.0 <= low_hz < high_hz <= rate / 2:
        raise InputError(f"mel band {low_hz}-{high_hz} Hz does not fit 0-{rate / 2:g} Hz")
    edges = mel_to_hz(np.linspace(float(mel(low_hz)), float(mel(high_hz)), n_mels + 2))[:, None]
    bins = np.arange(n_fft // 2 + 1) * (rate / n_fft)
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    weights: Float = np.maximum(0.0, np.minimum(rising, falling))
    empty = np.flatnonzero(weights.sum(axis=1) == 0.0)
    if empty.size:
        raise InputError(
            f"{empty.size} of {n_mels} mel filters hold no FFT bin (the first is number {empty[0]})",
            fix="Use fewer mel bands or a longer FFT.",
        )
    return weights
