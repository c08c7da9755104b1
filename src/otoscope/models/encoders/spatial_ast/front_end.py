"""What Spatial-AST and DSpAST hear: planes ``[B, planes, frames, mels]`` over time and mel bands, from two ears.

Both start from one Fourier transform per ear (1024 samples, Hann, every 320, reflected at the ends). Spatial-AST has
four planes: level left, level right, cosine and sine of the phase difference right - left, summed into mel bands
without dividing by the band's weight. DSpAST puts two more after the levels: the generalised cross-correlation at 128
lags, which stands on the mel axis without being one, and the level difference.

Source: Zheng et al. 2024, arXiv 2402.01591; Wilkinghoff and Tan 2025, arXiv 2509.13927, and the
behaviour of their public code. A level is 10 log10 of a mel sum of *magnitudes* (not powers), floored at -100 dB.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from otoscope.core.errors import InputError

RATE, N_FFT, HOP = 32_000, 1024, 320
BAND_HZ = (50.0, 14_000.0)
#: Smallest mel magnitude, before the logarithm.
FLOOR = 1e-10


def mel_weights(mels: int) -> torch.Tensor:
    """Triangles on the Slaney scale, each of unit area: float32 ``[513, mels]``."""
    from transformers.audio_utils import mel_filter_bank

    bank = mel_filter_bank(N_FFT // 2 + 1, mels, *BAND_HZ, RATE, norm="slaney", mel_scale="slaney")
    return torch.from_numpy(bank).float()


class FrontEnd(nn.Module):
    """Waveform ``[B, 2, n]`` at 32 kHz -> planes ``[B, 4, n // 320 + 1, mels]``."""

    planes = 4
    mel: torch.Tensor
    window: torch.Tensor

    def __init__(self, mels: int = 128) -> None:
        super().__init__()
        self.mels = mels
        self.register_buffer("mel", mel_weights(mels))
        self.register_buffer("window", torch.hann_window(N_FFT), persistent=False)
        self.level_norm = nn.BatchNorm2d(2, affine=False)

    def spectra(self, x: Any) -> Any:
        """Complex ``[B, 2, T, 513]``. Raises :class:`InputError` on what is too short to be reflected at its ends."""
        if x.ndim != 3 or x.shape[1] != 2 or x.shape[-1] <= N_FFT // 2:
            raise InputError(f"needs [B, 2, n] with n > {N_FFT // 2}, got {tuple(x.shape)}", where="spatial front end")
        flat = x.reshape(-1, x.shape[-1])
        out = torch.stft(flat, N_FFT, HOP, window=self.window, center=True, pad_mode="reflect", return_complex=True)
        return out.transpose(1, 2).reshape(x.shape[0], 2, -1, N_FFT // 2 + 1)

    def levels(self, spectra: Any) -> Any:
        """Decibels ``[B, 2, T, mels]``, before normalisation."""
        return 10.0 * torch.log10((spectra.abs() @ self.mel).clamp_min(FLOOR))

    def phases(self, spectra: Any) -> Any:
        """Mel sums of the cosine and the sine of the interaural phase, ``[B, 2, T, mels]``."""
        difference = torch.angle(spectra[:, 1]) - torch.angle(spectra[:, 0])
        return torch.stack([difference.cos(), difference.sin()], dim=1) @ self.mel

    def forward(self, x: Any) -> Any:
        spectra = self.spectra(x)
        return torch.cat([self.level_norm(self.levels(spectra)), self.phases(spectra)], dim=1)


class DisentangledFrontEnd(FrontEnd):
    """DSpAST's six planes: levels, cross-correlation, level difference, phases ``[B, 6, n // 320 + 1, mels]``."""

    planes = 6

    def __init__(self, mels: int = 128) -> None:
        super().__init__(mels)
        self.difference_norm = nn.BatchNorm2d(1, affine=False)

    def correlation(self, spectra: Any) -> Any:
        """Phase transform of the cross-spectrum, at lags ``-mels/2 .. mels/2 - 1`` samples: ``[B, 1, T, mels]``."""
        phase = torch.angle(spectra[:, 0] * spectra[:, 1].conj())
        lags = torch.fft.irfft(torch.polar(torch.ones_like(phase), phase))
        half = self.mels // 2
        return torch.cat([lags[..., -half:], lags[..., :half]], dim=-1)[:, None]

    def difference(self, levels: Any) -> Any:
        """``exp(left) / exp(right)`` of levels in decibels, so it grows by 2.7 per decibel: ``[B, 1, T, mels]``."""
        return levels[:, :1].exp() / (levels[:, 1:].exp() + 1e-16)

    def forward(self, x: Any) -> Any:
        spectra = self.spectra(x)
        levels = self.levels(spectra)
        planes = [self.level_norm(levels), self.correlation(spectra), self.difference_norm(self.difference(levels))]
        return torch.cat([*planes, self.phases(spectra)], dim=1)
