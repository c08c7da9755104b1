"""The "MLP" of X-ARES, which is a linear probe: LayerNorm(D), then Linear(D, C).

Idea: little enough to learn that the score is the encoder's. Cross-entropy for one class of many, binary cross-entropy
for several at once; trained and selected as :mod:`.gradient` says.
Source: X-ARES v0.1.3 (arXiv 2505.16369), its ``Mlp`` model and trainer, read as code; fact sheet, section 4.3.
Shapes: vectors ``[N, D]`` -> logits ``[N, C]``. Errors: :class:`InputError` on nothing to train on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import nn

from otoscope.readouts.gradient import Recipe
from otoscope.readouts.nets import FittedNet, fit_net
from otoscope.readouts.probe import Examples, Metric, Needs


def layernorm_linear(dim: int, n_classes: int) -> nn.Module:
    """The head, with torch's default initialisation."""
    return nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, n_classes))


@dataclass(frozen=True)
class XaresHead:
    """``pos_weight``: how much a positive weighs in the binary loss (MAESTRO: 10)."""

    name: ClassVar[str] = "xares-mlp"
    version: ClassVar[int] = 1
    seeded: ClassVar[bool] = True
    many: ClassVar[bool] = True
    chooses: ClassVar[bool] = True
    needs: ClassVar[Needs] = "vectors"

    recipe: Recipe = field(default_factory=Recipe)
    pos_weight: float | None = None

    def fit(self, train: Examples, valid: Examples | None, metric: Metric, seed: int) -> FittedNet:
        weight = None if self.pos_weight is None else torch.tensor(self.pos_weight)
        return fit_net(layernorm_linear, train, valid, metric, self.recipe, seed, pos_weight=weight)
