"""Two tiny encoders of binaural sound, trained here: one sees levels at each ear, the other also interaural phase.

The same small vision transformer reads either front end, so that what they hear is all that differs. Planes over 64 mel
bands and 10 ms frames are cut into patches of 16 bands by 4 frames; a frame of the output joins the four patches of one
moment, from low to high frequency. Design and sizes are ours, after GRAM-T (levels, joint normalisation) and
Spatial-AST (cosine and sine of the phase difference as planes).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from otoscope.audio.erb import mel_filterbank
from otoscope.core.errors import InputError
from otoscope.core.sites import SiteMap
from otoscope.models.sites.tiny_binaural import site_map

RATE, N_FFT, HOP, MELS = 16_000, 512, 160, 64
LOW_HZ, HIGH_HZ = 50.0, 8000.0
#: Added to mel power before the logarithm: about 50 dB under the power of a band of noise at -25 dBFS.
FLOOR = 1e-6
#: Bands and frames of a patch.
PATCH = (16, 4)
WIDTH, DEPTH, HEADS = 96, 4, 4
#: Planes by kind of encoder.
PLANES = {"general": 2, "spatial": 4}
SHORTEST = HOP * PATCH[1]


class Planes(nn.Module):
    """Waveform ``[B, 2, n]`` -> planes ``[B, 2 or 4, MELS, frames]``, whole patches of the real length only.

    Log-mel power of each ear, brought to mean 0 and deviation 1 over both ears, bands and time together: level is gone,
    differences between the ears stay. ``phase`` adds the cosine and the sine of the phase difference right - left,
    averaged over the bins of each band with the band's weights. Without it no plane depends on interaural phase.
    Raises :class:`InputError` on sounds shorter than a patch (40 ms).
    """

    window: torch.Tensor
    mel: torch.Tensor

    def __init__(self, *, phase: bool) -> None:
        super().__init__()
        self.phase = phase
        mel = torch.from_numpy(mel_filterbank(MELS, N_FFT, RATE, LOW_HZ, HIGH_HZ)).float()
        self.register_buffer("mel", mel, persistent=False)
        self.register_buffer("window", torch.hann_window(N_FFT), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, ears, n = x.shape
        if n < SHORTEST:
            raise InputError(f"{n} samples are fewer than a frame needs ({SHORTEST})", fix="Use 40 ms or more.")
        spectra = torch.stft(x.reshape(-1, n), N_FFT, HOP, window=self.window, center=True, return_complex=True)
        spectra = spectra.view(batch, ears, -1, spectra.shape[-1])[..., : n // SHORTEST * PATCH[1]]
        power = spectra.real.square() + spectra.imag.square()
        planes = torch.log(self.mel @ power + FLOOR)
        mean = planes.mean(dim=(1, 2, 3), keepdim=True)
        planes = (planes - mean) / (planes.std(dim=(1, 2, 3), keepdim=True) + 1e-5)
        if not self.phase:
            return planes
        cross = spectra[:, 1] * spectra[:, 0].conj()
        unit = cross / cross.abs().clamp_min(1e-12)
        weights = self.mel / self.mel.sum(dim=1, keepdim=True)
        return torch.cat([planes, (weights @ unit.real)[:, None], (weights @ unit.imag)[:, None]], dim=1)


class TinyBinaural(nn.Module):
    """``kind`` is ``general`` or ``spatial``. Weights are drawn from torch's generator: make it under a seed."""

    rate, channels = RATE, 2
    hop_s = HOP * PATCH[1] / RATE

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.planes = Planes(phase=kind == "spatial")
        self.patches = nn.Conv2d(PLANES[kind], WIDTH, PATCH, stride=PATCH)
        self.bands = nn.Parameter(0.02 * torch.randn(MELS // PATCH[0], WIDTH))
        self.mask_token = nn.Parameter(0.02 * torch.randn(WIDTH))
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(WIDTH, HEADS, 2 * WIDTH, 0.0, "gelu", batch_first=True, norm_first=True)
            for _ in range(DEPTH)
        )
        self.norm = nn.LayerNorm(WIDTH)

    @property
    def layers(self) -> tuple[int | str, ...]:
        return (*range(DEPTH + 1), "last")

    @property
    def sites(self) -> SiteMap:
        return site_map(DEPTH)

    def forward(self, x: torch.Tensor) -> dict[int | str, torch.Tensor]:
        """By layer ``[B, T, 4 * WIDTH]``: 0 enters the first block, ``k`` leaves block ``k``, ``last`` is normed."""
        return self.states(self.planes(x))

    def states(self, planes: torch.Tensor, hidden: torch.Tensor | None = None) -> dict[int | str, Any]:
        """From planes; ``hidden`` ``[B, bands, T]`` (bool) puts the mask token in the place of patches."""
        tokens = self.patches(planes).permute(0, 2, 3, 1)  # [B, bands, T, width]
        if hidden is not None:
            tokens = torch.where(hidden[..., None], self.mask_token, tokens)
        batch, bands, steps, _ = tokens.shape
        h = (tokens + self.bands[:, None] + times(steps).to(tokens)).flatten(1, 2)
        states: dict[int | str, Any] = {0: h}
        for i, block in enumerate(self.blocks):
            states[i + 1] = h = block(h)
        states["last"] = self.norm(h)
        return {k: s.view(batch, bands, steps, -1).transpose(1, 2).flatten(2) for k, s in states.items()}


def times(steps: int) -> torch.Tensor:
    """Fixed positions in time ``[steps, WIDTH]``: sines, then cosines, of rates 1000^(-k / K)."""
    rates = 1000.0 ** (-np.arange(WIDTH // 2) / (WIDTH // 2))
    angles = np.arange(steps)[:, None] * rates
    return torch.from_numpy(np.concatenate([np.sin(angles), np.cos(angles)], axis=1)).float()
