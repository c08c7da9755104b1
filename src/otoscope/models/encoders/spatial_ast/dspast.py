"""DSpAST: six planes, and three branches that share one ViT. Each branch weighs the planes (channel attention), makes
an image of its own and has three class tokens of its own; it ends in a linear map to a third of the width.

Branches are for distance, direction and event; the published embedding is the three maps side by side. Channel
attention: each plane's mean, normalised, goes through two linear maps and a sigmoid and multiplies the plane.

Source: Wilkinghoff and Tan 2025, arXiv 2509.13927; shares its lower half with :mod:`.spatial_ast`.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import nn
from torch.nn import functional

from otoscope.models.encoders.spatial_ast.front_end import DisentangledFrontEnd
from otoscope.models.encoders.spatial_ast.spatial_ast import AZIMUTHS, DISTANCES, ELEVATIONS, Stem
from otoscope.models.encoders.spatial_ast.trunk import CLASS_TOKENS, Shape, Trunk, stretch

#: The branches, in the order of the published tensors 1, 2, 3.
BRANCHES = ("distance", "direction", "event")


class ChannelAttention(nn.Module):
    """``[B, P, T, mels]`` -> the same, each plane times a weight in 0..1 that depends on all planes' means."""

    def __init__(self, planes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(planes, affine=False)
        self.squeeze = nn.Linear(planes, planes)
        self.excite = nn.Linear(planes, planes)

    def forward(self, planes: Any) -> Any:
        means = self.norm(planes.mean(dim=(2, 3)))
        return planes * torch.sigmoid(self.excite(functional.relu(self.squeeze(means))))[:, :, None, None]


class Branch(nn.Module):
    """What a branch has of its own: plane weights, stem, class tokens, and the map at its end."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.weigh = ChannelAttention(DisentangledFrontEnd.planes)
        self.stem = Stem(DisentangledFrontEnd.planes)
        self.class_tokens = nn.Parameter(torch.zeros(1, CLASS_TOKENS, shape.width))
        self.out = nn.Linear(shape.width, shape.width // 3)

    def image(self, planes: Any) -> Any:
        """Planes ``[B, 6, frames, mels]`` -> this branch's image."""
        return self.stem(self.weigh(planes))


class CosineHead(nn.Module):
    """Cosines of ``[B, D]`` with one learned direction per class."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.prototypes = nn.Parameter(torch.zeros(classes, width))

    def forward(self, x: Any) -> Any:
        return functional.normalize(x, dim=1) @ functional.normalize(self.prototypes, dim=1).T


class DSpAST(nn.Module):
    """Waveform ``[B, 2, n]`` at 32 kHz -> states ``[B, 3 + patches, 3 width]`` (branches side by side); ``last`` is
    after the branches' maps, ``[B, 3 + patches, 3 (width // 3)]``."""

    def __init__(self, shape: Shape | None = None) -> None:
        super().__init__()
        self.shape = shape = shape or Shape()
        third = shape.width // 3
        self.front = DisentangledFrontEnd(shape.mels)
        self.branches = nn.ModuleList(Branch(shape) for _ in BRANCHES)
        self.trunk = Trunk(shape)
        self.event_norm = nn.LayerNorm(third, eps=1e-6)
        self.event = nn.Linear(third, shape.events)
        self.distance = CosineHead(third, DISTANCES)
        self.azimuth = CosineHead(third, AZIMUTHS)
        self.elevation = CosineHead(third, ELEVATIONS)

    def _parts(self) -> list[Branch]:
        return cast("list[Branch]", list(self.branches))

    def images(self, x: Any) -> list[Any]:
        """An image per branch, each ``[B, 1, frames, mels]``."""
        planes = stretch(self.front(x), self.shape.frames)
        return [branch.image(planes) for branch in self._parts()]

    def forward(self, x: Any) -> dict[int | str, Any]:
        images = self.images(x)
        pairs = list(zip(images, self._parts(), strict=True))
        depths = zip(*(self.trunk.states(image, branch.class_tokens) for image, branch in pairs), strict=True)
        out: dict[int | str, Any] = {}
        for layer, parts in enumerate(depths):
            out[layer] = torch.cat(parts, dim=2)
        maps = [branch.out(part) for branch, part in zip(self._parts(), parts, strict=True)]
        out["last"] = torch.cat(maps, dim=2)
        return out

    def heads(self, states: dict[int | str, Any]) -> dict[str, Any]:
        """Logits of the event head and cosines of the others. Each reads the mean of its branch's class tokens."""
        distance, direction, event = states["last"][:, :CLASS_TOKENS].mean(dim=1).chunk(3, dim=1)
        return {
            "event": self.event(self.event_norm(event)),
            "distance": self.distance(distance),
            "azimuth": self.azimuth(direction),
            "elevation": self.elevation(direction),
        }
