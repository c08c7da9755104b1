"""The vision transformer under Spatial-AST and DSpAST: patches, positions, class tokens, pre-norm blocks.

An image ``[B, 1, frames, mels]`` is cut into patches of 16 x 16 (mel varies fastest), which get a position each. Class
tokens go in front without a position: the published table has a row for one, which nothing reads. No norm follows the
last block.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional

PATCH = 16
CLASS_TOKENS = 3


@dataclass(frozen=True)
class Shape:
    """Sizes of a network; the defaults are the published ones (ViT-B). ``frames`` is what any sound is stretched to."""

    width: int = 768
    depth: int = 12
    heads: int = 12
    frames: int = 1024
    mels: int = 128
    events: int = 355

    @property
    def columns(self) -> int:
        """Patches along time."""
        return self.frames // PATCH

    @property
    def bands(self) -> int:
        """Patches along frequency."""
        return self.mels // PATCH


class Attention(nn.Module):
    """Multi-head self-attention ``[B, N, width]``; rows of ``qkv`` are query, key, value, each by head."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Any) -> Any:
        query, key, value = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(query, key, value)
        return self.out(mixed.transpose(1, 2).flatten(2))


class Block(nn.Module):
    """Attention and a two-layer perceptron (four times as wide, GELU), each behind a norm and around a shortcut."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width, eps=1e-6)
        self.attention = Attention(width, heads)
        self.mlp_norm = nn.LayerNorm(width, eps=1e-6)
        self.mlp_in = nn.Linear(width, 4 * width)
        self.mlp_out = nn.Linear(4 * width, width)

    def forward(self, x: Any) -> Any:
        x = x + self.attention(self.attention_norm(x))
        return x + self.mlp_out(functional.gelu(self.mlp_in(self.mlp_norm(x))))


class Trunk(nn.Module):
    """Images ``[B, 1, frames, mels]`` and class tokens ``[1, 3, width]`` -> states ``[B, 3 + patches, width]``."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, shape.width, PATCH, stride=PATCH)
        self.positions = nn.Parameter(torch.zeros(1, shape.columns * shape.bands + 1, shape.width))
        self.blocks = nn.ModuleList(Block(shape.width, shape.heads) for _ in range(shape.depth))

    def states(self, image: Any, class_tokens: Any) -> Iterator[Any]:
        """What enters the first block, then what leaves each."""
        x = self.patches(image).flatten(2).transpose(1, 2) + self.positions[:, 1:]
        x = torch.cat([class_tokens.expand(x.shape[0], -1, -1), x], dim=1)
        yield x
        for block in self.blocks:
            x = block(x)
            yield x


def stretch(planes: Any, frames: int) -> Any:
    """``[B, P, T, mels]`` with fewer frames than ``frames`` -> exactly ``frames``, by bicubic interpolation with the
    corners aligned. This is the published behaviour: even 10 s (1001 frames) are stretched a little."""
    if planes.shape[2] >= frames:
        return planes
    size = (frames, planes.shape[3])
    return functional.interpolate(planes, size, mode="bicubic", align_corners=True)


def draw(network: nn.Module, seed: int) -> None:
    """Fresh weights under ``seed``: truncated normal of 0.02 for matrices, positions and class tokens, Xavier for
    patches, library defaults for the small convolutions (ours, after the published initialisation).

    Running statistics are taken from seeded noise, alike and unlike in the two ears: networks whose levels enter in raw
    decibels would be dead behind their first GELU, and a dead network is no control (ours).
    """
    from otoscope.models.devices import seeded

    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    with torch.no_grad(), seeded(seed):
        for name, module in network.named_modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Conv2d):
                module.reset_parameters()
                if name.endswith("patches"):
                    nn.init.xavier_uniform_(module.weight.view(module.weight.shape[0], -1))
            elif isinstance(module, nn.LayerNorm | nn.BatchNorm1d | nn.BatchNorm2d):
                module.reset_parameters()
        for name, parameter in network.named_parameters():
            if name.endswith(("positions", "class_tokens", "prototypes")):
                nn.init.trunc_normal_(parameter, std=0.02)
        noise = 0.2 * torch.randn(6, 3, 16_000)
        mix = torch.linspace(0.0, 1.0, 6)[:, None]
        ears = torch.stack([noise[:, 0], mix * noise[:, 0] + (1.0 - mix) * noise[:, 1]], dim=1)
        was = network.training
        network.eval()
        for norm in norms:
            norm.train()
            norm.momentum = 1.0
        network.images(ears)  # type: ignore[operator]
        network.train(was)
