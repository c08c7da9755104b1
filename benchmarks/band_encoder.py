"""A small encoder for probes.py, in the form that X-ARES loads and in ours: a filter bank, mixed by random weights."""

from __future__ import annotations

import math

import torch
from torch import nn

WIDTH, BANDS, SPAN, STEP = 512, 96, 400, 320
#: About the mean of the log levels, which X-ARES' kNN could not see beyond.
OFFSET = 7.0


class BandEncoder(nn.Module):
    """``forward(audio [B, n] or [B, 1, n] at 16 kHz) -> [B, T, 512]``, a frame every 20 ms. Without training, but with
    enough of a sound's spectrum that a probe learns something, and not everything."""

    sampling_rate = rate = 16_000
    output_dim = WIDTH
    hop_size_in_ms, hop_s = 20, 0.02
    channels = 1

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.bank = nn.Conv1d(1, BANDS, SPAN, stride=STEP, padding=SPAN // 2, bias=False)
            self.mix = nn.Linear(BANDS, WIDTH)
        hz = torch.logspace(math.log10(60), math.log10(7500), BANDS)
        t = torch.arange(SPAN) / self.rate
        waves = torch.hann_window(SPAN) * torch.cos(2 * math.pi * hz[:, None] * t) * (2 / SPAN)
        self.bank.weight.data.copy_(waves[:, None])

    @torch.inference_mode()
    def forward(self, audio: torch.Tensor) -> torch.Tensor:
        x = audio if audio.ndim == 3 else audio.reshape(-1, 1, audio.shape[-1])
        found: torch.Tensor = self.mix((self.bank(x).abs() + 1e-4).log().transpose(1, 2) + OFFSET)
        return found
