"""Rung L5: the same energy in both ears, in every mel band and frame; phases stay.

Both ears of a cell get the mean of their energies. Editing magnitudes makes an inconsistent STFT, so resynthesis brings
some of the difference back; a few passes shrink it. Diotic sounds pass unchanged. (The paper equalises STFT or mel
energies; mean energy and number of passes are ours.)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from otoscope.audio.erb import mel_filterbank
from otoscope.audio.stft import Stft
from otoscope.audio.transforms.base import Float, Transform
from otoscope.core.errors import InputError


@dataclass(frozen=True)
class EqualiseEnergy(Transform):
    """``iterations`` passes of analysis, gain and resynthesis with ``n_mels`` bands up to 8 kHz and one above."""

    n_mels: int = 64
    iterations: int = 4
    window_s: float = 0.032

    def __post_init__(self) -> None:
        if self.iterations < 1:
            raise InputError(f"equalisation needs at least one pass, got {self.iterations}")

    def change(self, x: Float, rate: int, seed: int) -> Float:
        stft = Stft.at(rate, self.window_s)
        bands = self._bands(stft, rate)
        spread = bands / bands.sum(axis=0)  # every bin takes the gains of its bands in these shares
        for _ in range(self.iterations):
            spectrum = stft.forward(x)
            energy = (spectrum.real**2 + spectrum.imag**2) @ bands.T  # [sounds, ears, frames, bands]
            common = np.broadcast_to(energy.mean(axis=1, keepdims=True), energy.shape)
            gain = np.sqrt(np.divide(common, energy, out=np.ones_like(energy), where=energy > 0.0))
            x = stft.inverse(spectrum * (gain @ spread), x.shape[-1])
        return x

    def _bands(self, stft: Stft, rate: int) -> Float:
        """``[bands, bins]``; below the first and above the last mel centre, one band each takes the rest."""
        top = min(8000.0, rate / 2)
        mels = mel_filterbank(self.n_mels, stft.n_fft, rate, 0.0, top)
        rest = np.maximum(0.0, 1.0 - mels.sum(axis=0))
        low = np.where(stft.bins_hz(rate) < top / 2, rest, 0.0)
        return np.concatenate([mels, low[None], (rest - low)[None]])
