"""The probe task: a collection put to an encoder, and probes fitted on what it gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from otoscope.core.errors import InputError
from otoscope.core.identity import digest
from otoscope.core.items import Item
from otoscope.core.nouns import Answered, Card, Decision, Embedded, Encode, Layer, Request, Row, Separated
from otoscope.readouts.ragged import Ragged
from otoscope.results.scoring import Measure
from otoscope.tasks.probes.entries import Collection
from otoscope.tasks.probes.findings import tables
from otoscope.tasks.probes.fit import Fitter, Placed
from otoscope.tasks.probes.heads.catalogue import lacking, needed
from otoscope.tasks.probes.inputs import CLIP, DIOTIC, ProbeInputs
from otoscope.tasks.probes.protocols import Protocol, protocol
from otoscope.tasks.probes.stream import units

_METRICS = {
    "accuracy": "share of right answers",
    "map": "macro average precision",
    "segment-f1-macro": "segment-based F1, mean over classes",
    "segment-f1-micro": "segment-based F1, classes together",
    "r@1": "recall at 1, mean of both directions",
    "1-wer": "1 - word error rate, at least 0",
}


@dataclass(frozen=True)
class ProbeTask:
    """Parameters of every probe task: ``protocol`` (clean, xares-0.1.3, xares-2026.04) and its switches, each of which
    replaces the preset's: ``pad_frames``, ``crops``, ``resampler``, ``select_on``, ``apart``, ``probes``, ``shuffle``,
    ``seeds``, ``mean``, ``min_steps``, ``heads``, ``tokenizer``, ``lm`` (see :mod:`.protocols`). The order of the items
    is drawn from their ids, so that the first ones are a sample of all parts."""

    version: ClassVar[int] = 2
    rounds: ClassVar[int] = 1
    keeps_outputs: ClassVar[bool] = True
    shares_embeddings: ClassVar[bool] = True
    findings_of_rows: ClassVar[Any] = staticmethod(tables)

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
    heads: str | None = None
    tokenizer: str | None = None
    lm: str | None = None

    def __post_init__(self) -> None:
        _ = self.how

    @property
    def name(self) -> str:
        raise NotImplementedError

    @property
    def shard_items(self) -> int:
        """Fewer where frames are kept: a shard is in memory at once."""
        return 8 if "frames" in needed(self.head_kind, self.how) else 64

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
            heads=self.heads,
            tokenizer=self.tokenizer,
            lm=self.lm,
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
            "protocol": self.how.describe(c.kind),
            **({} if c.kind == "clip" else {"kind": c.kind, "more": dict(c.more)}),
        }

    def accepts(self, card: Card) -> str | None:
        if card.capability != "encoder":
            return f"needs an encoder, and {card.name} is of the kind {card.capability!r}"
        if card.channels > 2:
            return f"probes are put to encoders of one or two channels, and {card.name} takes {card.channels}"
        view = card.extra.get("view", {})
        if "layer-mix" in self.how.probe_names and len(card.layers) > 1 and view.get("layer") != "all":
            return f"layer-mix weighs all layers of a model, and one is looked at: write {card.name}:layer=all"
        return lacking(self.head_kind, self.how)

    @property
    def head_kind(self) -> str:
        """What is asked of a clip: ``clip`` (classes), ``frame`` (events in time), ``contrastive`` (captions), ``asr``
        (words). Known without reading the collection."""
        return "clip"

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
            crop, crop_s = unit.crop, t.crop_s
            n, rate = lengths[unit.clip]
            if how.pad_frames == "trim" and crop_s is not None and n < crop_s * rate:
                crop = crop_s = None  # a crop would be padded
            inputs = ProbeInputs(entry.source, crop, crop_s, peers, how.resampler)
            target = Placed(part, position, entry.shard, entry.labels, entry.target)
            found.append(Item(name, name, entry.group, inputs, {"domain": c.domain}, target=target))
        for entry in own:
            if entry.problem is not None or entry.source is None:
                inputs = ProbeInputs(None, problem=entry.problem)
                target = Placed(part, len(found), entry.shard, entry.labels)
                item = Item(entry.id, entry.id, entry.group, inputs, {"domain": c.domain}, target=target)
                found.append(item)
        return found

    def request(self, item: Item, card: Card) -> Request:
        frames = "frames" in needed(self.head_kind, self.how)
        return Encode((CLIP if card.channels == 1 else DIOTIC,), frames=frames)

    def score(self, item: Item, output: Embedded | Decision | Separated | Answered) -> list[Row]:
        return []  # what a probe reads is known once it is fitted

    def fit_readout(self, items: Sequence[Item], outputs: Sequence[Any]) -> list[tuple[Item, list[Row]]]:
        fitter = Fitter(self.collection, self.how, items)
        found: dict[int, list[Row]] = {}

        def add(rows: Mapping[int, list[Row]]) -> None:
            for i, own in rows.items():
                found.setdefault(i, []).extend(own)

        layers = list(outputs[0].vectors)
        for layer in layers:
            number = int(layer) if str(layer).isdigit() else layer  # kept outputs name layers in words
            told = False
            for needs in ("vectors", "frames"):
                if fitter.wants(needs):
                    add(fitter.rows(_features(outputs, layer, needs), number, not told))
                    told = True
        if fitter.wants("layers"):
            try:
                stacked = _all_layers(outputs, layers)
            except InputError as e:
                add(fitter.undefined("layers", e))
            else:
                add(fitter.rows(stacked, None, len(layers) > 1))
        return [(item, found.get(i, [])) for i, item in enumerate(items)]

    def measures(self) -> Sequence[Measure]:
        doc = _METRICS.get(self.collection.metric, "")
        by = ("probe", "layer")
        return [
            Measure("score", by, ("score",), doc=doc, higher_is_better=True),
            Measure("correct", by, ("correct",), doc="share of right answers, items alike", higher_is_better=True),
            Measure("score_of_seed", (*by, "probe_seed"), ("score_of_seed",), doc=f"{doc}, one seed"),
            Measure("layer_weight", by, ("layer_weight",), doc="weight of a layer in a learned mix"),
            Measure("chance", ("layer",), ("chance",), doc="what knowing nothing gets"),
            Measure("train_items", ("layer",), ("train_items",), doc="items learned from"),
            Measure("train_dropped", ("layer",), ("train_dropped",), doc="left out: their group is in the test part"),
        ]


def _features(outputs: Sequence[Embedded], layer: Layer, needs: str) -> Any:
    """Of one layer: vectors ``[items, D]``, or frames."""
    if needs == "vectors":
        return np.stack([next(iter(o.vectors[layer].values())) for o in outputs]).astype(np.float32)
    return Ragged([next(iter(o.frames[layer].values())) for o in outputs], outputs[0].hop_s)


def _all_layers(outputs: Sequence[Embedded], layers: Sequence[Layer]) -> NDArray[np.float32]:
    """``[items, L, D]``. Raises :class:`InputError` where layers differ in width."""
    each = [_features(outputs, layer, "vectors") for layer in layers]
    if len({x.shape[1] for x in each}) > 1:
        raise InputError(f"layers differ in width ({sorted({x.shape[1] for x in each})}), so layer-mix cannot mix them")
    return np.stack(each, axis=1)
