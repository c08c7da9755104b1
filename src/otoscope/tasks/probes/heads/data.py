"""What every head of one collection shares: items, targets, protocol; and what it gives for a part that is scored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from otoscope.core.items import Item
from otoscope.readouts.probe import Examples, Needs
from otoscope.tasks.probes.entries import Collection, Training
from otoscope.tasks.probes.protocols import Protocol as How

Rows = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Scored:
    """Of ``n`` test items: ``shares`` ``[n]``, whose mean is the score; ``right`` ``[n]`` where an item can be right or
    wrong; ``said``, what was read from each; ``layer_weights`` of a learned mix of layers."""

    shares: NDArray[np.float64]
    said: Sequence[str]
    right: NDArray[np.float64] | None = None
    layer_weights: NDArray[np.float64] | None = None


class Head(Protocol):
    """Learns from rows ``train`` of the features ``x``, chooses by ``valid`` (None: nothing to choose by), and scores
    ``test``. The rest is as of a :class:`~otoscope.readouts.probe.Probe`."""

    name: str
    needs: Needs
    seeded: bool
    chooses: bool

    def read(self, x: Any, train: Rows, valid: Rows | None, test: Rows, seed: int) -> Scored: ...


@dataclass(frozen=True, eq=False)
class Data:
    """``y`` are the targets by item: class numbers ``[N]``, or ``[N, C]`` of 0 and 1. ``training`` says how a head of
    this collection is trained under the protocol ``how``."""

    collection: Collection
    how: How
    items: Sequence[Item]
    y: NDArray[Any]
    training: Training

    def shards(self, rows: Rows) -> list[int]:
        """Lengths of the runs of rows that came in one archive."""
        names = [(self.items[i].target.part, self.items[i].target.shard) for i in rows]
        cuts = [0, *(k for k in range(1, len(names)) if names[k] != names[k - 1]), len(names)]
        return [b - a for a, b in pairwise(cuts)]

    def examples(self, x: Any, rows: Rows) -> Examples:
        return Examples(x[rows], self.y[rows], len(self.collection.classes), self.shards(rows))

    def truth(self, rows: Rows) -> list[Any]:
        """What is true of each beside classes: events, captions, words."""
        return [self.items[i].target.truth for i in rows]

    def recipe(self) -> Any:
        """The :class:`~otoscope.readouts.gradient.Recipe` of this collection."""
        from otoscope.readouts.gradient import Recipe  # loads torch

        t, shuffle = self.training, self.how.shuffle
        return Recipe(t.epochs, t.batch, t.lr, shuffle=shuffle)  # type: ignore[arg-type]
