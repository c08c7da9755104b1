"""Learned layer mix: one weight per layer, softmax over layers, then the linear head on the weighted sum.

Idea: which layer of a network holds what is asked differs by task; the probe may say which, without choosing on test.
Source: the featurizer of SUPERB (arXiv 2105.01051, section 3: a trainable weighted sum of all hidden states), here of
pooled vectors, which is the same for the mean over time. Standardising every layer over the training part first, so
that a weight means the same for a loud and a quiet layer, is ours; the head is X-ARES'.
Shapes: ``[N, L, D]`` -> logits ``[N, C]``; ``layer_weights`` of the fitted probe are ``[L]`` and sum to 1.
Errors: :class:`InputError` on nothing to train on, and where layers differ in width.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from otoscope.readouts.gradient import Recipe
from otoscope.readouts.nets import FittedNet, fit_net
from otoscope.readouts.probe import Examples, Floats, Metric, Needs


class MixedHead(nn.Module):
    """``forward(x [N, L, D]) -> [N, C]``."""

    def __init__(self, n_layers: int, dim: int, n_classes: int) -> None:
        super().__init__()
        self.mix = nn.Parameter(torch.zeros(n_layers))
        self.norm = nn.LayerNorm(dim)
        self.out = nn.Linear(dim, n_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.out(self.norm(torch.einsum("l,nld->nd", self.mix.softmax(0), x)))
        return found


class FittedMix:
    """The mix with the scale of each layer (``mean``, ``spread`` ``[L, 1]``) that training showed."""

    def __init__(self, net: FittedNet, mean: Floats, spread: Floats) -> None:
        self._net, self._mean, self._spread, self.chosen = net, mean, spread, net.chosen

    @property
    def layer_weights(self) -> NDArray[np.float64]:
        """``[L]``, lowest layer first."""
        with torch.no_grad():
            found: NDArray[np.float64] = self._net.net.mix.softmax(0).double().numpy()  # type: ignore[operator,union-attr]
        return found

    def scores(self, x: Floats) -> Floats:
        return self._net.scores((x - self._mean) / self._spread)


@dataclass(frozen=True)
class LayerMix:
    """No parameters of its own but the recipe."""

    name: ClassVar[str] = "layer-mix"
    version: ClassVar[int] = 1
    seeded: ClassVar[bool] = True
    many: ClassVar[bool] = True
    chooses: ClassVar[bool] = True
    needs: ClassVar[Needs] = "layers"

    recipe: Recipe = field(default_factory=Recipe)

    def fit(self, train: Examples, valid: Examples | None, metric: Metric, seed: int) -> FittedMix:
        mean = train.x.mean(axis=(0, 2), keepdims=True)[0]
        spread = np.maximum(train.x.std(axis=(0, 2), keepdims=True)[0], 1e-12)
        on = [
            None if e is None else Examples((e.x - mean) / spread, e.y, e.n_classes, e.shards) for e in (train, valid)
        ]
        n_layers = train.x.shape[1]
        scaled, held = on
        assert scaled is not None
        net = fit_net(lambda d, c: MixedHead(n_layers, d, c), scaled, held, metric, self.recipe, seed)
        return FittedMix(net, mean, spread)
