"""Networks as probes of classes: the part that the X-ARES head, the MLP, the layer mix and attention share."""

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
from otoscope.readouts.ragged import Ragged

#: Sounds whose frames are padded together when scored.
SCORED = 64


class FittedNet:
    """A trained network of vectors ``[N, D]`` (or layers, or frames) -> logits ``[N, C]``; ``history`` are validation
    scores per epoch."""

    def __init__(self, trained: Trained, n_epochs: int) -> None:
        self.net = trained.net
        self.history = trained.history
        self.epoch = trained.epoch
        self.chosen = f"epoch {trained.epoch + 1} of {n_epochs}" if trained.history else ""

    def scores(self, x: Any) -> Floats:
        return _scores(self.net, x)


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
    held_in = examples.x
    x = None if isinstance(held_in, Ragged) else _tensor(held_in)
    y = torch.from_numpy(examples.y.astype(np.float32 if examples.many else np.int64))

    def take(rows: NDArray[np.intp]) -> tuple[tuple[torch.Tensor, ...], torch.Tensor]:
        return (_inputs(held_in[rows]) if x is None else (x[rows],)), y[rows]

    def loss(net: nn.Module, x: Any, y: Any) -> torch.Tensor:
        if examples.many:
            return functional.binary_cross_entropy_with_logits(net(*x), y, pos_weight=pos_weight)
        return functional.cross_entropy(net(*x), y)

    check = None
    if valid is not None and len(valid):
        held = valid

        def check(net: nn.Module) -> float:
            return metric(_scores(net, held.x), held.y)

    dim = held_in.dim if isinstance(held_in, Ragged) else held_in.shape[-1]
    trained = train(
        lambda: make(dim, examples.n_classes), len(examples), take, loss, recipe,
        seed=seed, shards=examples.shards, validate=check,
    )  # fmt: skip
    return FittedNet(trained, recipe.epochs)


@torch.inference_mode()
def _scores(net: nn.Module, x: Any) -> Floats:
    if not isinstance(x, Ragged):
        found: Floats = net(_tensor(x)).numpy()
        return found
    cuts = [np.arange(a, min(a + SCORED, len(x))) for a in range(0, len(x), SCORED)]
    return np.concatenate([net(*_inputs(x[rows])).numpy() for rows in cuts])


def _inputs(x: Ragged) -> tuple[torch.Tensor, ...]:
    frames, real = x.padded()
    return torch.from_numpy(frames), torch.from_numpy(real)


def _tensor(x: Floats) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(x, dtype=np.float32))
