"""Networks over pooled vectors as probes: the part that the X-ARES head and the MLP share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from otoscope.readouts.gradient import Recipe, Trained, train
from otoscope.readouts.probe import Examples, Floats, Metric


class FittedNet:
    """A trained network of vectors ``[N, D]`` -> logits ``[N, C]``; ``history`` are validation scores per epoch."""

    def __init__(self, trained: Trained, n_epochs: int) -> None:
        self.net = trained.net
        self.history = trained.history
        self.epoch = trained.epoch
        self.chosen = f"epoch {trained.epoch + 1} of {n_epochs}" if trained.history else ""

    def scores(self, x: Floats) -> Floats:
        return _scores(self.net, torch.from_numpy(np.ascontiguousarray(x, dtype=np.float32)))


def fit_net(
    make: Callable[[int, int], nn.Module],
    examples: Examples,
    valid: Examples | None,
    metric: Metric,
    recipe: Recipe,
    seed: int,
    *,
    pos_weight: torch.Tensor | None = None,
) -> FittedNet:
    """Train ``make(D, C)`` on ``examples``; the epoch is chosen by ``metric`` on ``valid`` (None: the last one)."""
    x = torch.from_numpy(np.ascontiguousarray(examples.x, dtype=np.float32))
    y = torch.from_numpy(examples.y.astype(np.float32 if examples.many else np.int64))

    def take(rows: NDArray[np.intp]) -> tuple[torch.Tensor, torch.Tensor]:
        return x[rows], y[rows]

    def loss(net: nn.Module, x: Any, y: Any) -> torch.Tensor:
        if examples.many:
            return functional.binary_cross_entropy_with_logits(net(x), y, pos_weight=pos_weight)
        return functional.cross_entropy(net(x), y)

    check = None
    if valid is not None and len(valid):
        held = valid
        held_x = torch.from_numpy(np.ascontiguousarray(held.x, dtype=np.float32))

        def check(net: nn.Module) -> float:
            return metric(_scores(net, held_x), held.y)

    dim = examples.x.shape[1]
    trained = train(
        lambda: make(dim, examples.n_classes), len(examples), take, loss, recipe,
        seed=seed, shards=examples.shards, validate=check,
    )  # fmt: skip
    return FittedNet(trained, recipe.epochs)


@torch.inference_mode()
def _scores(net: nn.Module, x: torch.Tensor) -> Floats:
    found: Floats = net(x).numpy()
    return found
