"""Fit the probes of one collection on kept embeddings, and say what each test item adds to the score.

Parts are taken in the order of X-ARES' stream. Of folds, each is held out once. What a probe gives a test item is a
share of the score: the mean of the shares *is* the score, so scores of items can be paired between models.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otoscope.core.errors import InputError
from otoscope.core.items import Factor, Item
from otoscope.core.nouns import Row
from otoscope.readouts.inner import inner_split
from otoscope.readouts.jackknife import map_shares
from otoscope.readouts.precision import mean_average_precision
from otoscope.readouts.probe import Examples, Metric, Probe, accuracy
from otoscope.tasks.probes.entries import Collection, Training
from otoscope.tasks.probes.protocols import Protocol


@dataclass(frozen=True)
class Placed:
    """What an item's target says: where it comes in the stream of its part, and what is true of it."""

    part: str
    position: int
    shard: str
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Fold:
    """Rows (positions in the list of items) that are learned from, chosen by, and scored. ``dropped`` training rows
    share a group with the test part."""

    test: NDArray[np.intp]
    train: NDArray[np.intp]
    valid: NDArray[np.intp] | None
    dropped: int
    name: str = ""


def folds(collection: Collection, protocol: Protocol, items: Sequence[Item]) -> Iterator[Fold]:
    """What is held out, in turn. Raises :class:`InputError` where a part has no items."""
    order = np.array(sorted(range(len(items)), key=lambda i: _place(items[i])), dtype=np.intp)
    part = np.array([items[i].target.part for i in order])
    groups = np.array([items[i].group for i in order])
    held_out = sorted(set(part)) if collection.folds else ["test"]
    for name in held_out:
        test = np.flatnonzero(part == name)
        train = np.flatnonzero(part != name if collection.folds else part == "train")
        valid = None if collection.folds else np.flatnonzero(part == "valid")
        if not len(test) or not len(train):
            raise InputError(
                f"{'fold' if collection.folds else 'part'} {name} leaves {len(train)} items to learn from and "
                f"{len(test)} to score",
                where=collection.name,
                fix="Raise --limit, or look at the failed items.",
            )
        before = len(train)
        if protocol.apart:
            train = train[~np.isin(groups[train], np.unique(groups[test]))]
            if not len(train):
                what = "every training item shares a group with the test part"
                raise InputError(what, where=collection.name, fix="Group the recordings otherwise, or use apart=false.")
        rows = (order[test], order[train], None if valid is None or not len(valid) else order[valid])
        yield Fold(*rows, dropped=before - len(train), name=name if collection.folds else "")


def _place(item: Item) -> tuple[int, str, int]:
    found: Placed = item.target
    return {"train": 0, "valid": 1, "test": 2}.get(found.part, 3), found.part, found.position


class Fitter:
    """Fits and scores all probes of a collection under a protocol."""

    def __init__(self, collection: Collection, protocol: Protocol, items: Sequence[Item]) -> None:
        self.collection, self.protocol, self.items = collection, protocol, items
        self.groups = np.array([i.group for i in items])
        self.y = targets(collection, items)
        self.folds = list(folds(collection, protocol, items))

    @property
    def many(self) -> bool:
        return self.y.ndim == 2

    @property
    def metric(self) -> Metric:
        return mean_average_precision if self.many else accuracy

    def probes(self) -> list[Probe]:
        """Those of the protocol that suit: kNN is left out where X-ARES leaves it out, or several classes may hold."""
        made = [make_probe(n, self._training(), self.protocol) for n in self.protocol.probe_names]
        knn = self.collection.knn and not self.many
        return [p for p in made if knn or not p.name.startswith("knn")]

    def _training(self) -> Training:
        """The task's, with as many epochs as the protocol's least number of steps takes."""
        own = self.collection.training
        steps = -(-min(len(f.train) for f in self.folds) // own.batch)
        return replace(own, epochs=max(own.epochs, -(-self.protocol.min_steps // steps)))

    def rows(self, x: NDArray[np.float32], layer: Any) -> dict[int, list[Row]]:
        """Rows by item of what all probes make of vectors ``x`` ``[items, D]``."""
        found: dict[int, list[Row]] = {}
        for probe in self.probes():
            factors: dict[str, Factor] = {"probe": probe.name}
            if layer != "last":
                factors["layer"] = layer
            try:
                parts = [self._fold(probe, x, fold) for fold in self.folds]
            except InputError as e:
                for fold in self.folds:
                    for i in fold.test:
                        row = Row("score", None, factors, status="undefined", note=str(e))
                        found.setdefault(int(i), []).append(row)
                continue
            n = sum(len(f.test) for f in self.folds)
            for fold, (shares, right, said) in zip(self.folds, parts, strict=True):
                weight = n / (len(self.folds) * len(fold.test)) if self.protocol.mean == "folds" else 1.0
                for k, i in enumerate(fold.test):
                    rows = self._of_item(
                        int(i), factors, shares[:, k] * weight, None if right is None else right[:, k], said[k]
                    )
                    found.setdefault(int(i), []).extend(rows)
        of_layer: dict[str, Factor] = {} if layer == "last" else {"layer": layer}
        for fold in self.folds:
            chance = self._chance(fold)
            for i in fold.test:
                found[int(i)] += [
                    Row("chance", chance, of_layer),
                    Row("train_items", float(len(fold.train)), of_layer),
                    Row("train_dropped", float(fold.dropped), of_layer),
                ]
        return found

    def _fold(
        self, probe: Probe, x: NDArray[np.float32], fold: Fold
    ) -> tuple[NDArray[np.float64], NDArray[np.float64] | None, list[str]]:
        """Shares ``[seeds, n]``, whether right ``[seeds, n]`` (one class of many), and what the first seed said."""
        shares: list[NDArray[np.float64]] = []
        right: list[NDArray[np.float64]] = []
        said: list[str] = []
        test = self._examples(x, fold.test)
        for seed in self._seeds(probe):
            train, valid = self._parts(probe, x, fold, seed)
            scores = probe.fit(train, valid, self.metric, seed).scores(test.x)
            if self.many:
                shares.append(map_shares(scores, test.y))
            else:
                chosen = scores.argmax(axis=1)
                right.append((chosen == test.y).astype(np.float64))
                shares.append(right[-1])
            if not said:
                said = self._said(scores)
        return np.stack(shares), np.stack(right) if right else None, said

    def _seeds(self, probe: Probe) -> tuple[int, ...]:
        """All where another seed, or another inner split, can give another probe; else the first."""
        every = self.protocol.seed_axis
        split = probe.chooses and self.protocol.select_on in ("inner", "valid")
        return every if probe.seeded or split else every[:1]

    def _said(self, scores: NDArray[Any]) -> list[str]:
        if self.many:
            return [json.dumps([float(f"{v:.6g}") for v in row]) for row in scores]
        return [self.collection.classes[c] for c in scores.argmax(axis=1)]

    def _parts(self, probe: Probe, x: NDArray[np.float32], fold: Fold, seed: int) -> tuple[Examples, Examples | None]:
        """To learn from, and to choose by; what chooses nothing learns from all."""
        how = self.protocol.select_on
        if how == "last" or not probe.chooses:
            return self._examples(x, fold.train), None
        if how == "published":
            valid = fold.valid if fold.valid is not None else fold.test
            return self._examples(x, fold.train), self._examples(x, valid)
        if how == "valid" and fold.valid is not None:
            return self._examples(x, fold.train), self._examples(x, fold.valid)
        inside, held = inner_split(self.y[fold.train], self.groups[fold.train], seed)
        return self._examples(x, fold.train[inside]), self._examples(x, fold.train[held])

    def _examples(self, x: NDArray[np.float32], rows: NDArray[np.intp]) -> Examples:
        names = [(self.items[i].target.part, self.items[i].target.shard) for i in rows]
        cuts = [0, *(k for k in range(1, len(names)) if names[k] != names[k - 1]), len(names)]
        shards = [b - a for a, b in pairwise(cuts)]
        return Examples(x[rows], self.y[rows], len(self.collection.classes), shards)

    def _chance(self, fold: Fold) -> float:
        """What knowing nothing gets: a guess among equally likely classes; of average precision the share of positives
        of the part that is scored, averaged over classes. Ours."""
        return float(self.y[fold.test].mean()) if self.many else 1.0 / len(self.collection.classes)

    def _of_item(
        self,
        item: int,
        factors: dict[str, Factor],
        shares: NDArray[np.float64],
        right: NDArray[np.float64] | None,
        said: str,
    ) -> list[Row]:
        """``raw`` of ``score`` is what the first seed said, of ``correct`` what is true: for confusion tables."""
        rows = [Row("score", float(shares.mean()), factors, raw=said)]
        if right is not None:
            truth = self.collection.classes[int(self.y[item])]
            rows.append(Row("correct", float(right.mean()), factors, raw=truth))
        if len(shares) > 1:
            seeds = self.protocol.seed_axis
            rows += [
                Row("score_of_seed", float(v), {**factors, "probe_seed": s}) for s, v in zip(seeds, shares, strict=True)
            ]
        return rows


def targets(collection: Collection, items: Sequence[Item]) -> NDArray[Any]:
    """``[N]`` class numbers, or ``[N, C]`` of 0 and 1 where several classes may hold."""
    number = {c: k for k, c in enumerate(collection.classes)}
    labels = [item.target.labels for item in items]
    if collection.metric == "map":
        y = np.zeros((len(items), len(number)), dtype=np.float32)
        for i, names in enumerate(labels):
            y[i, [number[n] for n in names]] = 1
        return y
    return np.array([number[names[0]] for names in labels], dtype=np.int64)


def make_probe(name: str, training: Training, protocol: Protocol) -> Probe:
    """A probe by its name, trained as the task says (batch, epochs, rate) where it is X-ARES'."""
    from otoscope.readouts.gradient import Recipe
    from otoscope.readouts.knn import Knn
    from otoscope.readouts.linear import Linear
    from otoscope.readouts.mlp import Mlp
    from otoscope.readouts.xares_head import XaresHead

    shuffle: Any = protocol.shuffle
    if name == "xares-mlp":
        return XaresHead(Recipe(training.epochs, training.batch, training.lr, shuffle=shuffle), training.pos_weight)
    if name == "mlp":
        return Mlp(recipe=Recipe(training.epochs, training.batch, training.lr, shuffle=shuffle))
    if name == "linear":
        return Linear()
    return Knn("xares" if name == "knn-xares" else "cosine")
