"""Spatial-AST: four planes of two ears, squeezed into one image by a 3 x 3 convolution, read by a ViT with three class
tokens (distance, direction, event), each with its own head.

Source: Zheng et al. 2024, arXiv 2402.01591. Written from the paper, the names and shapes of the published tensors and
the behaviour of the public code; see docs/explanation/models/spatial-ast.md.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from otoscope.models.encoders.spatial_ast.front_end import FrontEnd
from otoscope.models.encoders.spatial_ast.trunk import CLASS_TOKENS, Shape, Trunk, stretch

#: Classes of the spatial heads: half metres to 10 m, degrees of azimuth, degrees of elevation.
DISTANCES, AZIMUTHS, ELEVATIONS = 21, 360, 180


class Stem(nn.Module):
    """Planes -> one image ``[B, 1, frames, mels]``: 3 x 3 convolution without bias, norm, GELU."""

    def __init__(self, planes: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(planes, 1, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(1)

    def forward(self, planes: Any) -> Any:
        return functional.gelu(self.norm(self.conv(planes)))


class SpatialAST(nn.Module):
    """Waveform ``[B, 2, n]`` at 32 kHz, at most ``frames`` spectra long -> states ``[B, 3 + patches, width]``."""

    def __init__(self, shape: Shape | None = None) -> None:
        super().__init__()
        self.shape = shape = shape or Shape()
        self.front = FrontEnd(shape.mels)
        self.stem = Stem(FrontEnd.planes)
        self.trunk = Trunk(shape)
        self.class_tokens = nn.Parameter(torch.zeros(1, CLASS_TOKENS, shape.width))
        self.distance_norm, self.direction_norm, self.event_norm = (
            nn.LayerNorm(shape.width, eps=1e-6) for _ in range(3)
        )
        self.distance = nn.Linear(shape.width, DISTANCES)
        self.azimuth = nn.Linear(shape.width, AZIMUTHS)
        self.elevation = nn.Linear(shape.width, ELEVATIONS)
        self.event = nn.Linear(shape.width, shape.events)

    def images(self, x: Any) -> list[Any]:
        """The one image the trunk reads, ``[B, 1, frames, mels]``."""
        return [self.stem(stretch(self.front(x), self.shape.frames))]

    def forward(self, x: Any) -> dict[int | str, Any]:
        """States by layer: 0 enters the first block, ``depth`` leaves the last and is the output."""
        return dict(enumerate(self.trunk.states(self.images(x)[0], self.class_tokens)))

    def heads(self, states: dict[int | str, Any]) -> dict[str, Any]:
        """Logits of the four heads, of what :meth:`forward` gave."""
        last = states[self.shape.depth]
        direction = self.direction_norm(last[:, 1])
        return {
            "event": self.event(self.event_norm(last[:, 2])),
            "distance": self.distance(self.distance_norm(last[:, 0])),
            "azimuth": self.azimuth(direction),
            "elevation": self.elevation(direction),
        }
