"""Readouts trained by gradient: the one loop that every head here shares.

Adam without weight decay; the rate falls by a cosine *per epoch* from ``lr`` to a tenth of it (X-ARES v0.1.3: with ten
epochs the factors are 1, .978, .914, .815, .689, .55, .411, .285, .186, .122); the last, smaller batch is kept. After
each epoch the validation score is taken, and the weights of the best epoch (the first of equals) are what comes back.
All of it in float32, on one thread, from one seed.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from otoscope.core.errors import InputError, UsageError

Loss = Callable[[nn.Module, Any, Any], torch.Tensor]
Take = Callable[[NDArray[np.intp]], "tuple[Any, Any]"]


@dataclass(frozen=True)
class Recipe:
    """How a head is trained. ``shuffle``: ``uniform`` (a fresh permutation an epoch, ours) or ``stream`` (X-ARES:
    shards in random order, then two shuffling buffers, of 2000 and of 512, so that what lies far apart in the archives
    rarely meets in a batch)."""

    epochs: int = 10
    batch: int = 32
    lr: float = 1e-3
    floor: float = 0.1
    shuffle: Literal["uniform", "stream"] = "uniform"

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch < 1 or not self.lr > 0:
            raise UsageError(f"cannot train with {self}", fix="epochs, batch and lr must be positive.")

    def rates(self) -> list[float]:
        """The learning rate of each epoch."""
        e = range(self.epochs)
        return [self.lr * (self.floor + (1 - self.floor) * (1 + math.cos(math.pi * i / self.epochs)) / 2) for i in e]


@dataclass(frozen=True)
class Trained:
    """A network at its best epoch (0-based); ``history`` are the validation scores, one an epoch."""

    net: nn.Module
    epoch: int
    history: tuple[float, ...]


def train(
    make: Callable[[], nn.Module],
    n: int,
    take: Take,
    loss: Loss,
    recipe: Recipe,
    *,
    seed: int,
    shards: Sequence[int] | None = None,
    copies: Sequence[int] | None = None,
    validate: Callable[[nn.Module], float] | None = None,
) -> Trained:
    """Train what ``make`` gives on ``n`` examples; ``take(rows)`` gives a batch ``(x, y)``.

    ``shards`` are the lengths of the stream's parts (for ``stream``; None: one part); ``copies`` says how many
    examples, one after the other, are of each sample of the stream (None: one). Without ``validate`` the last
    epoch is kept. Raises :class:`InputError` where there is nothing to train on or the loss is no longer finite.
    """
    if n == 0:
        raise InputError("there is nothing to train a readout on")
    rng = np.random.default_rng(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = make()
        best, best_epoch, history = None, recipe.epochs - 1, []
        optimiser = torch.optim.Adam(net.parameters(), lr=recipe.lr)
        for epoch, rate in enumerate(recipe.rates()):
            for group in optimiser.param_groups:
                group["lr"] = rate
            net.train()
            for rows in _batches(n, shards, copies, recipe, rng):
                optimiser.zero_grad(set_to_none=True)
                value = loss(net, *take(rows))
                if not torch.isfinite(value):
                    raise InputError("the loss is no longer finite", fix="Lower lr, or look at the embeddings' scale.")
                value.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
            if validate is not None:
                net.eval()
                with torch.inference_mode():
                    history.append(validate(net))
                if best is None or history[-1] > max(history[:-1], default=-math.inf):
                    best, best_epoch = copy.deepcopy(net.state_dict()), epoch
    if best is not None:
        net.load_state_dict(best)
    net.eval()
    return Trained(net, best_epoch, tuple(history))


def _batches(
    n: int, shards: Sequence[int] | None, copies: Sequence[int] | None, recipe: Recipe, rng: np.random.Generator
) -> Iterator[NDArray[np.intp]]:
    if recipe.shuffle == "uniform":
        order = rng.permutation(n)
    else:
        samples = n if copies is None else len(copies)
        order = np.array(list(stream_order(shards or [samples], rng, copies)), dtype=np.intp)
    for start in range(0, n, recipe.batch):
        yield order[start : start + recipe.batch]


def stream_order(shards: Sequence[int], rng: np.random.Generator, copies: Sequence[int] | None = None) -> Iterator[int]:
    """The order in which X-ARES' training stream gives its examples: every one once, near neighbours mixed. The
    ``copies`` of a sample (captions of a clip) are made between the two buffers, so they stay close."""
    starts = np.concatenate([[0], np.cumsum(shards)[:-1]])
    rows = (int(starts[s]) + i for s in rng.permutation(len(shards)) for i in range(shards[s]))
    mixed = _buffered(rows, 2000, 500, rng)
    if copies is not None:
        first = np.concatenate([[0], np.cumsum(copies)])
        mixed = (k for row in mixed for k in range(int(first[row]), int(first[row + 1])))
    return _buffered(mixed, 512, 100, rng)


def _buffered(rows: Iterator[int], size: int, initial: int, rng: np.random.Generator) -> Iterator[int]:
    """A shuffling buffer: it grows by two for each one it gives until ``size`` are held."""
    held: list[int] = []
    for row in rows:
        held.append(row)
        if len(held) < size and (more := next(rows, None)) is not None:
            held.append(more)
        if len(held) >= initial:
            yield _pick(held, rng)
    while held:
        yield _pick(held, rng)


def _pick(held: list[int], rng: np.random.Generator) -> int:
    k = int(rng.integers(len(held)))
    held[k], held[-1] = held[-1], held[k]
    return held.pop()
