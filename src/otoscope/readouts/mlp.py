"""A probe with a hidden layer: LayerNorm(D), Linear(D, H), ReLU, dropout, Linear(H, C).

Idea: what a nonlinear reader of modest size finds, beside the linear one of X-ARES that goes by the same name.
Source: the size of HEAR's predictors and MARBLE's heads (one hidden layer, dropout); norm, width and recipe are ours.
Shapes: vectors ``[N, D]`` -> logits ``[N, C]``. Errors: :class:`InputError` on nothing to train on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from torch import nn

from otoscope.core.errors import UsageError
from otoscope.readouts.gradient import Recipe
from otoscope.readouts.nets import FittedNet, fit_net
from otoscope.readouts.probe import Examples, Metric, Needs


@dataclass(frozen=True)
class Mlp:
    """``hidden`` units, ``dropout`` behind them."""

    name: ClassVar[str] = "mlp"
    version: ClassVar[int] = 1
    seeded: ClassVar[bool] = True
    many: ClassVar[bool] = True
    chooses: ClassVar[bool] = True
    needs: ClassVar[Needs] = "vectors"

    hidden: int = 512
    dropout: float = 0.2
    recipe: Recipe = field(default_factory=lambda: Recipe(epochs=20))

    def __post_init__(self) -> None:
        if self.hidden < 1 or not 0 <= self.dropout < 1:
            raise UsageError(f"no MLP has {self.hidden} hidden units and a dropout of {self.dropout}")

    def fit(self, train: Examples, valid: Examples | None, metric: Metric, seed: int) -> FittedNet:
        return fit_net(self._net, train, valid, metric, self.recipe, seed)

    def _net(self, dim: int, n_classes: int) -> nn.Module:
        return nn.Sequential(
            nn.LayerNorm(dim),
            nn.Linear(dim, self.hidden),
            nn.ReLU(),
            nn.Dropout(self.dropout),
            nn.Linear(self.hidden, n_classes),
        )
