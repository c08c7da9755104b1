"""A small two-channel network with random weights (ours): convolutions that see both ears at once, then a transformer.

Waveform ``[B, 2, n]`` -> frames ``[B, T, width]``, 50 per second. Layer 0 leaves the convolutions, 1.. the blocks.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from otoscope.core.sites import SiteMap
from otoscope.models.sites.tiny_stereo import site_map

#: (kernel, stride) of the convolutions: 320 samples per frame.
_STEM = ((10, 5), (8, 4), (8, 4), (8, 4))


class TinyStereo(nn.Module):
    """Random weights from ``seed``; nothing is ever trained."""

    version = 1
    rate, channels = 16_000, 2
    hop_s = 0.02
    declared_cues = ("waveform",)
    summary = "two-channel convolutions and a transformer, random weights (ours)"
    licence = "no weights"
    notes = ("has learned nothing: its score is the level that a trained binaural model must beat",)

    def __init__(self, seed: int = 0, depth: int = 2, width: int = 64) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            sizes = (2, width // 2, width, width, width)
            self.stem = nn.ModuleList(
                nn.Conv1d(a, b, kernel, stride)
                for a, b, (kernel, stride) in zip(sizes[:-1], sizes[1:], _STEM, strict=True)
            )
            self.norms = nn.ModuleList(nn.GroupNorm(1, size) for size in sizes[1:])
            self.positions = nn.Conv1d(width, width, 15, padding=7, groups=4)
            self.blocks = nn.ModuleList(
                nn.TransformerEncoderLayer(
                    width, width // 16, 2 * width, 0.0, "gelu", batch_first=True, norm_first=True
                )
                for _ in range(depth)
            )
        self.depth, self.made_of = depth, {"seed": seed, "depth": depth, "width": width}

    def identity(self) -> dict[str, int]:
        """All that the weights depend on."""
        return self.made_of

    @property
    def layers(self) -> tuple[int | str, ...]:
        return (*range(self.depth + 1), "last")

    @property
    def sites(self) -> SiteMap:
        return site_map(self.depth, len(_STEM))

    def forward(self, x: Any) -> dict[int | str, Any]:
        for conv, norm in zip(self.stem, self.norms, strict=True):
            x = nn.functional.gelu(norm(conv(x)))
        x = (x + self.positions(x)).transpose(1, 2)
        states: dict[int | str, Any] = {0: x}
        for i, block in enumerate(self.blocks):
            states[i + 1] = x = block(x)
        return states
