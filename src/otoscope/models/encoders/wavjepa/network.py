"""WavJEPA-Nat: one convolutional front end per ear, then one transformer over the tokens of both ears.

Architecture of arXiv 2509.23238 (Yuksel et al. 2025), inference side only: no teacher, no predictor. Waveform
``[B, 2, window]`` at 16 kHz -> tokens ``[B, 2, steps, width]``. Written by us from the description and tensor shapes.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn


@dataclass(frozen=True)
class Sizes:
    """Sizes of a network; the defaults are the published base model. ``convs``: (channels, kernel, stride) each.
    ``shared``: both ears through the same convolutions (not so in the published model)."""

    convs: tuple[tuple[int, int, int], ...] = ((512, 10, 5), *(((512, 3, 2),) * 4), (512, 2, 2))
    width: int = 768
    heads: int = 12
    depth: int = 12
    hidden: int = 3072
    window: int = 32_159
    shared: bool = False

    @property
    def steps(self) -> int:
        """Tokens per ear and window."""
        n = self.window
        for _, kernel, stride in self.convs:
            n = (n - kernel) // stride + 1
        return n

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "convs": [list(c) for c in self.convs]}


class FrontEnd(nn.Module):
    """``[B, 1, window]`` -> ``[B, steps, channels]``: convolutions without bias, each followed by GELU; after the first
    every channel is normalised over time."""

    def __init__(self, convs: tuple[tuple[int, int, int], ...]) -> None:
        super().__init__()
        sizes = (1, *(c for c, _, _ in convs))
        self.convs = nn.ModuleList(
            nn.Conv1d(a, b, kernel, stride, bias=False)
            for a, (b, kernel, stride) in zip(sizes[:-1], convs, strict=True)
        )
        self.norm = nn.GroupNorm(sizes[1], sizes[1])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for i, conv in enumerate(self.convs):
            x = conv(x)
            x = nn.functional.gelu(self.norm(x) if i == 0 else x)
        return x.transpose(1, 2)


class WavJepaNat(nn.Module):
    """Weights are drawn from torch's generator: make it under a seed."""

    positions: torch.Tensor

    def __init__(self, sizes: Sizes | None = None) -> None:
        super().__init__()
        self.sizes = s = sizes or Sizes()
        channels = s.convs[-1][0]
        self.ears = nn.ModuleList(FrontEnd(s.convs) for _ in range(1 if s.shared else 2))
        self.front_norm = nn.LayerNorm(channels)
        self.project = nn.Linear(channels, s.width) if channels != s.width else nn.Identity()
        self.register_buffer("positions", positions(s.width, s.steps)[None])
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(
                s.width, s.heads, s.hidden, 0.0, "gelu", layer_norm_eps=1e-6, batch_first=True, norm_first=False
            )
            for _ in range(s.depth)
        )
        self.final_norm = nn.LayerNorm(s.width)
        for module in self.modules():
            if isinstance(module, nn.Conv1d):
                nn.init.kaiming_normal_(module.weight)
            elif isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    def forward(self, x: torch.Tensor, kept: int | None = None) -> dict[int | str, torch.Tensor]:
        """Standardised windows ``[B, 2, window]`` -> ``{0: ..., depth: ..., "last": ...}``, each
        ``[B, 2, kept, width]``: 0 enters the first block, ``last`` has the final norm. Of every ear only the first
        ``kept`` tokens are attended to and returned; None means all."""
        s = self.sizes
        tokens = torch.cat([self.ears[0 if s.shared else ear](x[:, ear : ear + 1]) for ear in (0, 1)], dim=1)
        h = self.project(self.front_norm(tokens)) + self.positions
        mask = None
        if kept is not None and kept < s.steps:
            mask = (torch.arange(2 * s.steps, device=x.device) % s.steps >= kept).expand(len(x), -1)
        states: dict[int | str, torch.Tensor] = {0: h}
        for i, block in enumerate(self.blocks):
            states[i + 1] = h = block(h, src_key_padding_mask=mask)
        states["last"] = self.final_norm(h)
        return {k: v.unflatten(1, (2, s.steps))[:, :, :kept] for k, v in states.items()}


def positions(width: int, steps: int) -> torch.Tensor:
    """``[2 * steps, width]``: the first half of the features says when (sines, then cosines of the step at ``width/4``
    frequencies from 1 down to 1/10000), the second half says which ear: zeros on the left; on the right what step 0
    has, that is zeros, then ones."""
    quarter = width // 4
    rates = 10_000.0 ** -(torch.arange(quarter, dtype=torch.float64) / quarter)
    angles = torch.arange(steps, dtype=torch.float64)[:, None] * rates
    when = torch.cat([angles.sin(), angles.cos()], dim=1)
    right = torch.cat([torch.zeros(steps, quarter), torch.ones(steps, quarter)], dim=1)
    left = torch.zeros(steps, 2 * quarter)
    return torch.cat([torch.cat([when, left], dim=1), torch.cat([when, right], dim=1)]).float()
