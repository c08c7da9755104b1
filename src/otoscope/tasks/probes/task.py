"""The probe task: a collection put to an encoder, and probes fitted on what it gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from otoscope.core.identity import digest
from otoscope.core.items import Item
from otoscope.core.nouns import Answered, Card, Decision, Embedded, Encode, Request, Row, Separated
from otoscope.results.scoring import Measure
from otoscope.tasks.probes.entries import Collection
from otoscope.tasks.probes.findings import tables
from otoscope.tasks.probes.fit import Fitter, Placed
from otoscope.tasks.probes.inputs import CLIP, DIOTIC, ProbeInputs
from otoscope.tasks.probes.protocols import Protocol, protocol
from otoscope.tasks.probes.stream import units


@dataclass(frozen=True)
class ProbeTask:
    """Parameters of every probe task: ``protocol`` (clean, xares-0.1.3, xares-2026.04) and its switches, each of which
    replaces the preset's: ``pad_frames``, ``crops``, ``resampler``, ``select_on``, ``apart``, ``probes``, ``shuffle``,
    ``seeds``, ``mean``, ``min_steps`` (see :mod:`.protocols`). The order of the items is drawn from
    their ids, so that the first ones are a sample of all parts."""

    version: ClassVar[int] = 2
    rounds: ClassVar[int] = 1
    keeps_outputs: ClassVar[bool] = True
    findings_of_rows: ClassVar[Any] = staticmethod(tables)
    shard_items: ClassVar[int] = 64

    protocol: str = "clean"
    pad_frames: str | None = None
    crops: str | None = None
    resampler: str | None = None
    select_on: str | None = None
    apart: bool | None = None
    probes: str | None = None
    shuffle: str | None = None
    seeds: str | int | None = None
    mean: str | None = None
    min_steps: int | None = None

    def __post_init__(self) -> None:
        _ = self.how

    @property
    def name(self) -> str:
        raise NotImplementedError

    def read(self) -> Collection:
        """The collection, read anew."""
        raise NotImplementedError

    @cached_property
    def collection(self) -> Collection:
        """The collection. Raises :class:`InputError` where its files are not there or not as they should be."""
        return self.read()

    @cached_property
    def how(self) -> Protocol:
        """The protocol in force."""
        return protocol(
            self.protocol,
            pad_frames=self.pad_frames,
            crops=self.crops,
            resampler=self.resampler,
            select_on=self.select_on,
            apart=self.apart,
            probes=self.probes,
            shuffle=self.shuffle,
            seeds=self.seeds,
            mean=self.mean,
            min_steps=self.min_steps,
        )

    def identity(self) -> Mapping[str, Any]:
        c = self.collection
        return {
            "name": "probes",
            "version": self.version,
            "items": digest([i.describe() for i in self._items]),
            "classes": list(c.classes),
            "folds": c.folds,
            "metric": c.metric,
            "training": c.training,
            "knn": c.knn,
            "protocol": self.how.describe(),
        }

    def accepts(self, card: Card) -> str | None:
        if card.capability != "encoder":
            return f"needs an encoder, and {card.name} is of the kind {card.capability!r}"
        if card.channels > 2:
            return f"probes are put to encoders of one or two channels, and {card.name} takes {card.channels}"
        return None

    def refuses(self, label: Any, card: Card) -> str | None:
        return None if label == "intact" else "probes are fitted on the recordings as they are"

    def items(self, round: int = 0, rows: Any = None) -> Sequence[Item]:
        return self._items

    @cached_property
    def _items(self) -> list[Item]:
        found: list[Item] = []
        for part in self.collection.parts:
            found += self._of_part(part)
        return sorted(found, key=lambda i: digest(i.id))

    def _of_part(self, part: str) -> list[Item]:
        c, how, t = self.collection, self.how, self.collection.training
        own = [e for e in c.entries if e.part == part]
        usable = [e for e in own if e.problem is None and e.source is not None]
        measured = t.crop_s is not None or (how.pad_frames == "keep" and t.encode_batch > 1)
        lengths = [e.source.length() if measured and e.source is not None else (0, 1) for e in usable]
        stream = units(
            [e.shard for e in usable],
            lambda i: lengths[i][0] / lengths[i][1],
            crop_s=t.crop_s,
            crops=how.crops,  # type: ignore[arg-type]
            batch=t.encode_batch,
            per_shard=t.per_shard,
            workers=how.readers,
        )
        found = []
        for position, unit in enumerate(stream):
            entry = usable[unit.clip]
            name = entry.id if unit.crop is None else f"{entry.id}#{unit.crop}"
            padded = how.pad_frames == "keep" and len(unit.batch) > 1
            peers = tuple(lengths[k] for k in unit.batch) if padded else ()
            inputs = ProbeInputs(entry.source, unit.crop, t.crop_s, peers, how.resampler)
            target = Placed(part, position, entry.shard, entry.labels)
            found.append(Item(name, name, entry.group, inputs, {"domain": c.domain}, target=target))
        for entry in own:
            if entry.problem is not None or entry.source is None:
                inputs = ProbeInputs(None, problem=entry.problem)
                target = Placed(part, len(found), entry.shard, entry.labels)
                item = Item(entry.id, entry.id, entry.group, inputs, {"domain": c.domain}, target=target)
                found.append(item)
        return found

    def request(self, item: Item, card: Card) -> Request:
        return Encode((CLIP if card.channels == 1 else DIOTIC,))

    def score(self, item: Item, output: Embedded | Decision | Separated | Answered) -> list[Row]:
        return []  # what a probe reads is known once it is fitted

    def fit_readout(self, items: Sequence[Item], outputs: Sequence[Any]) -> list[tuple[Item, list[Row]]]:
        fitter = Fitter(self.collection, self.how, items)
        found: dict[int, list[Row]] = {}
        for layer in outputs[0].vectors:
            x = np.stack([next(iter(o.vectors[layer].values())) for o in outputs]).astype(np.float32)
            number = int(layer) if str(layer).isdigit() else layer  # kept outputs name layers in words
            for i, rows in fitter.rows(x, number).items():
                found.setdefault(i, []).extend(rows)
        return [(item, found.get(i, [])) for i, item in enumerate(items)]

    def measures(self) -> Sequence[Measure]:
        doc = {"accuracy": "share of right answers", "map": "macro average precision"}.get(self.collection.metric, "")
        by = ("probe", "layer")
        return [
            Measure("score", by, ("score",), doc=doc, higher_is_better=True),
            Measure("correct", by, ("correct",), doc="share of right answers, items alike", higher_is_better=True),
            Measure("score_of_seed", (*by, "probe_seed"), ("score_of_seed",), doc=f"{doc}, one seed"),
            Measure("chance", ("layer",), ("chance",), doc="what knowing nothing gets"),
            Measure("train_items", ("layer",), ("train_items",), doc="items learned from"),
            Measure("train_dropped", ("layer",), ("train_dropped",), doc="left out: their group is in the test part"),
        ]
