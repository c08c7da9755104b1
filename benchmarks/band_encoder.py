"""A small encoder for probes.py, in the form that X-ARES loads and in ours: a filter bank of random weights."""

from __future__ import annotations

import torch
from torch import nn

WIDTH, SPAN, STEP = 256, 400, 320


class BandEncoder(nn.Module):
    """``forward(audio [B, n] or [B, 1, n] at 16 kHz) -> [B, T, 256]``, a frame every 20 ms."""

    sampling_rate = rate = 16_000
    output_dim = WIDTH
    hop_size_in_ms, hop_s = 20, 0.02
    channels = 1

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.bank = nn.Conv1d(1, WIDTH, SPAN, stride=STEP, padding=SPAN // 2)
            self.mix = nn.Linear(WIDTH, WIDTH)

    @torch.inference_mode()
    def forward(self, audio: torch.Tensor) -> torch.Tensor:
        x = audio if audio.ndim == 3 else audio.reshape(-1, 1, audio.shape[-1])
        found: torch.Tensor = self.mix((self.bank(x).abs() + 1e-4).log().transpose(1, 2))
        return found
