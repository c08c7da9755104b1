"""Attention pooling: a learned weight for every frame, then a linear layer on the weighted mean.

Idea: where a class is heard for a moment only, the mean over all frames drowns it; a probe may learn which count.
Source: attentive pooling of frames, w_t = softmax_t(v . tanh(W h_t + b)) (arXiv 1803.10963, of which we take the mean
and not the deviation); the LayerNorm before it, the width and the recipe are ours.
Shapes: frames ``[T, D]`` a sound -> logits ``[N, C]``; padding of a batch has weight nil, so a sound's logits do not
depend on its neighbours. Errors: :class:`InputError` on nothing to train on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import nn

from otoscope.core.errors import UsageError
from otoscope.readouts.gradient import Recipe
from otoscope.readouts.nets import FittedNet, fit_net
from otoscope.readouts.probe import Examples, Metric, Needs


class AttentiveHead(nn.Module):
    """``forward(x [N, T, D], real [N, T]) -> [N, C]``."""

    def __init__(self, dim: int, n_classes: int, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.score = nn.Sequential(nn.Linear(dim, width), nn.Tanh(), nn.Linear(width, 1, bias=False))
        self.out = nn.Linear(dim, n_classes)

    def weights(self, x: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
        """``[N, T]``: of each sound they sum to 1, over its real frames."""
        score: torch.Tensor = self.score(self.norm(x)).squeeze(-1)
        return score.masked_fill(~real, float("-inf")).softmax(dim=1)

    def forward(self, x: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
        pooled = (self.weights(x, real).unsqueeze(-1) * self.norm(x)).sum(dim=1)
        found: torch.Tensor = self.out(pooled)
        return found


@dataclass(frozen=True)
class Attention:
    """``width`` units score a frame."""

    name: ClassVar[str] = "attention"
    version: ClassVar[int] = 1
    seeded: ClassVar[bool] = True
    many: ClassVar[bool] = True
    chooses: ClassVar[bool] = True
    needs: ClassVar[Needs] = "frames"

    width: int = 128
    recipe: Recipe = field(default_factory=Recipe)

    def __post_init__(self) -> None:
        if self.width < 1:
            raise UsageError(f"attention needs a width from 1 on, got {self.width}")

    def fit(self, train: Examples, valid: Examples | None, metric: Metric, seed: int) -> FittedNet:
        return fit_net(lambda d, c: AttentiveHead(d, c, self.width), train, valid, metric, self.recipe, seed)
