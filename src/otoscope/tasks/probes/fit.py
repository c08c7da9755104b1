"""Fit the probes of one collection on kept embeddings, and say what each test item adds to the score.

Parts are taken in the order of X-ARES' stream. Of folds, each is held out once. What a probe gives a test item is a
share of the score: the mean of the shares *is* the score, so scores of items can be paired between models.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otoscope.core.errors import InputError
from otoscope.core.identity import NEUTRAL
from otoscope.core.items import Factor, Item
from otoscope.core.nouns import Layer, Row
from otoscope.readouts.inner import inner_split
from otoscope.readouts.probe import Needs
from otoscope.readouts.ragged import Ragged
from otoscope.tasks.probes.entries import Collection, Training
from otoscope.tasks.probes.heads.catalogue import heads_of
from otoscope.tasks.probes.heads.data import Data, Head, Rows, Scored
from otoscope.tasks.probes.protocols import Protocol


@dataclass(frozen=True)
class Placed:
    """What an item's target says: where it comes in the stream of its part, and what is true of it: classes, and
    ``truth`` beside them (events with times, captions, words)."""

    part: str
    position: int
    shard: str
    labels: tuple[str, ...]
    truth: Any = field(default=None, metadata={NEUTRAL: None})


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
    """Fits and scores all heads of a collection under a protocol."""

    def __init__(self, collection: Collection, protocol: Protocol, items: Sequence[Item]) -> None:
        self.collection, self.protocol, self.items = collection, protocol, items
        self.groups = np.array([i.group for i in items])
        self.y = targets(collection, items)
        self.folds = list(folds(collection, protocol, items))
        self.heads = heads_of(Data(collection, protocol, items, self.y, self._training()))

    def _training(self) -> Training:
        """The task's, with as many epochs as the protocol's least number of steps takes."""
        own = self.collection.training
        steps = -(-min(len(f.train) for f in self.folds) // own.batch)
        return replace(own, epochs=max(own.epochs, -(-self.protocol.min_steps // steps)))

    def wants(self, needs: Needs) -> bool:
        """Whether any head looks at that."""
        return any(h.needs == needs for h in self.heads)

    def rows(self, x: Any, layer: Layer | None, facts: bool = True) -> dict[int, list[Row]]:
        """Rows by item of what the heads make that look at such ``x``: vectors ``[items, D]``, those of all layers
        ``[items, L, D]`` (``layer`` None), or frames (:class:`Ragged`). ``facts``: with what does not depend on the
        head."""
        needs: Needs = "frames" if isinstance(x, Ragged) else "layers" if x.ndim == 3 else "vectors"
        of_layer: dict[str, Factor] = {} if layer in (None, "last") else {"layer": layer}  # type: ignore[dict-item]
        found: dict[int, list[Row]] = {int(i): [] for fold in self.folds for i in fold.test}
        for head in (h for h in self.heads if h.needs == needs):
            self._of_head(head, x, {"probe": head.name, **of_layer}, found)
        for fold in self.folds if facts else ():
            chance = self._chance(fold)
            for i in fold.test:
                found[int(i)] += [
                    Row("chance", chance, of_layer),
                    Row("train_items", float(len(fold.train)), of_layer),
                    Row("train_dropped", float(fold.dropped), of_layer),
                ]
        return found

    def undefined(self, needs: Needs, error: InputError) -> dict[int, list[Row]]:
        """A row with the reason for every head that looks at what could not be had."""
        heads = [h for h in self.heads if h.needs == needs]
        tested = [int(i) for fold in self.folds for i in fold.test]
        return {i: [_undefined({"probe": h.name}, error) for h in heads] for i in tested}

    def _of_head(self, head: Head, x: Any, factors: dict[str, Factor], found: dict[int, list[Row]]) -> None:
        try:
            parts = [self._fold(head, x, fold) for fold in self.folds]
        except InputError as e:
            for i in found:
                found[i].append(_undefined(factors, e))
            return
        n = sum(len(f.test) for f in self.folds)
        for fold, scored in zip(self.folds, parts, strict=True):
            weight = n / (len(self.folds) * len(fold.test)) if self.protocol.mean == "folds" else 1.0
            shares = np.stack([s.shares for s in scored]) * weight
            right = None if scored[0].right is None else np.stack([s.right for s in scored if s.right is not None])
            mixes = [s.layer_weights for s in scored if s.layer_weights is not None]
            mean = np.mean(mixes, axis=0).tolist() if mixes else []
            for k, i in enumerate(fold.test):
                own = None if right is None else right[:, k]
                found[int(i)] += self._of_item(int(i), factors, shares[:, k], own, scored[0].said[k])
                found[int(i)] += [Row("layer_weight", w, {**factors, "layer": m}) for m, w in enumerate(mean)]

    def _fold(self, head: Head, x: Any, fold: Fold) -> list[Scored]:
        """What each seed gives."""
        found = []
        for seed in self._seeds(head):
            train, valid = self.parts(head, fold, seed)
            found.append(head.read(x, train, valid, fold.test, seed))
        return found

    def _seeds(self, head: Head) -> tuple[int, ...]:
        """All where another seed, or another inner split, can give another probe; else the first."""
        every = self.protocol.seed_axis
        split = head.chooses and self.protocol.select_on in ("inner", "valid")
        return every if head.seeded or split else every[:1]

    def parts(self, head: Head, fold: Fold, seed: int) -> tuple[Rows, Rows | None]:
        """Rows to learn from, and to choose by; what chooses nothing learns from all."""
        how = self.protocol.select_on
        if how == "last" or not head.chooses:
            return fold.train, None
        if how == "published":
            return fold.train, fold.valid if fold.valid is not None else fold.test
        if how == "valid" and fold.valid is not None:
            return fold.train, fold.valid
        inside, held = inner_split(self.y[fold.train], self.groups[fold.train], seed)
        return fold.train[inside], fold.train[held]

    def _chance(self, fold: Fold) -> float:
        """What knowing nothing gets: a guess among equally likely classes, or clips; of average precision the share of
        positives of the part that is scored, averaged over classes; of events and words nothing. Ours."""
        kind = self.collection.kind
        if kind == "contrastive":
            return 1.0 / len(fold.test)
        if kind != "clip":
            return 0.0
        return float(self.y[fold.test].mean()) if self.y.ndim == 2 else 1.0 / len(self.collection.classes)

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


def _undefined(factors: dict[str, Factor], error: InputError) -> Row:
    return Row("score", None, factors, status="undefined", note=str(error))


def targets(collection: Collection, items: Sequence[Item]) -> NDArray[Any]:
    """``[N]`` class numbers, or ``[N, C]`` of 0 and 1 where several classes may hold (of captions and words, which have
    no classes, ``[N, 1]`` of 0)."""
    number = {c: k for k, c in enumerate(collection.classes)}
    labels = [item.target.labels for item in items]
    if collection.metric != "accuracy":
        y = np.zeros((len(items), max(1, len(number))), dtype=np.float32)
        for i, names in enumerate(labels):
            y[i, [number[n] for n in names]] = 1
        return y
    return np.array([number[names[0]] for names in labels], dtype=np.int64)
