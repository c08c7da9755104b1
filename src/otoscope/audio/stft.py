"""Short-time Fourier transforms: one for analysis only, one that resynthesises exactly.

Both ears go through the same operations in the same order, so bit-identical ears give bit-identical spectra.
Shapes: signals ``[..., n]``, spectra ``[..., frames, bins]``. Hann windows (periodic).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from otoscope.core.errors import InputError

Float = NDArray[np.float64]
Complex = NDArray[np.complex128]

#: Frames transformed at once. Small temporary arrays stay in the cache and are not handed back to the system, which
#: makes short sounds several times as fast.
BLOCK = 32


def hann(n: int) -> Float:
    """Periodic Hann window ``[n]``."""
    return np.asarray(0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(n) / n))


def spectra_blocks(x: Float, n_fft: int, hop: int) -> Iterator[Complex]:
    """Windowed spectra of whole frames only (no padding), ``[..., up to BLOCK frames, n_fft // 2 + 1]`` at a time.

    Raises :class:`InputError` where ``x`` is shorter than one frame.
    """
    if x.shape[-1] < n_fft:
        raise InputError(f"{x.shape[-1]} samples are shorter than one frame of {n_fft}", fix="Use longer audio.")
    frames: Float = np.lib.stride_tricks.sliding_window_view(x, n_fft, axis=-1)[..., ::hop, :]
    window = hann(n_fft)
    for start in range(0, frames.shape[-2], BLOCK):
        yield np.fft.rfft(frames[..., start : start + BLOCK, :] * window, axis=-1)


def spectra(x: Float, n_fft: int, hop: int) -> Complex:
    """All frames of :func:`spectra_blocks`: ``[..., frames, n_fft // 2 + 1]``."""
    return np.concatenate(list(spectra_blocks(x, n_fft, hop)), axis=-2)


@dataclass(frozen=True)
class Stft:
    """Weighted overlap-add with a Hann window on both sides. Unchanged spectra give the signal back to rounding.

    ``overlap`` frames cover each sample (at least 3, or squared Hann windows do not add up to a constant).
    """

    hop: int
    overlap: int = 4

    def __post_init__(self) -> None:
        if self.hop < 1 or self.overlap < 3:
            raise InputError(f"an STFT with hop {self.hop} and overlap {self.overlap} cannot resynthesise")

    @classmethod
    def at(cls, rate: int, window_s: float = 0.032, overlap: int = 4) -> Stft:
        """The transform whose window lasts ``window_s`` seconds at ``rate`` Hz (to the nearest sample of the hop)."""
        return cls(max(1, round(window_s * rate / overlap)), overlap)

    @property
    def n_fft(self) -> int:
        return self.hop * self.overlap

    def forward(self, x: Float) -> Complex:
        """``[..., n]`` -> ``[..., frames, bins]``; padded so that every sample lies in ``overlap`` frames."""
        n = x.shape[-1]
        tail = -n % self.hop + self.n_fft
        padded = np.pad(x, [(0, 0)] * (x.ndim - 1) + [(self.n_fft, tail)])
        return spectra(padded, self.n_fft, self.hop)

    def inverse(self, spectrum: Complex, n: int) -> Float:
        """``[..., frames, bins]`` -> ``[..., n]``."""
        window = hann(self.n_fft)
        frames = np.fft.irfft(spectrum, self.n_fft, axis=-1) * window
        count = frames.shape[-2]
        out = np.zeros((*frames.shape[:-2], count + self.overlap - 1, self.hop))
        for r in range(self.overlap):
            out[..., r : r + count, :] += frames[..., r * self.hop : (r + 1) * self.hop]
        weight = float(np.sum(window**2)) / self.hop  # constant for overlap >= 3
        flat: Float = out.reshape(*out.shape[:-2], -1) / weight
        return np.array(flat[..., self.n_fft : self.n_fft + n], dtype=np.float64)

    def bins_hz(self, rate: int) -> Float:
        """Frequency of each bin, ``[bins]``."""
        return np.asarray(np.arange(self.n_fft // 2 + 1) * (rate / self.n_fft))
