"""One shard of one cell: items in, rows out. Nothing else in the package calls a model.

Batches are a pure function of the shard's items, never of worker count or of where a killed run resumed. Sounds that
are bit-equal (the same noise under every signal-to-noise ratio, say) are embedded once per shard. What breaks, breaks
alone: a batch that fails is halved until the sound that fails is found, and becomes a failure row that names it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otoscope.core.audio import Audio
from otoscope.core.errors import InputError, ModelError, OtoscopeError
from otoscope.core.items import Item
from otoscope.core.nouns import Condition, Decide, Embedded, Encode, Intervention, Layer, Request, Row, Task
from otoscope.results.schema import Cost, failure_records, item_records

#: Rate at which an observer without a rate of its own hears the stimuli (Hz).
DEFAULT_RATE = 16_000
#: Items rendered together. Bounds memory; also the horizon within which equal sounds are batched.
CHUNK_ITEMS = 16

Vectors = Mapping[Layer, NDArray[np.float32]]


@dataclass(frozen=True)
class Bench:
    """A cell with its parts resolved: what a shard needs to run."""

    task: Task
    condition: Condition
    model: Any
    intervention: Intervention
    batch: int = 16


@dataclass
class ShardOutput:
    """Rows of a shard (one mapping per row, in item order) and, where the task keeps them, its embeddings."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    kept: dict[str, NDArray[Any]] | None = None
    n_failed: int = 0


@dataclass(frozen=True)
class _Broken:
    error: Exception


@dataclass
class _Asked:
    """One item on its way through a chunk."""

    item: Item
    request: Request
    signals: dict[str, Audio]
    keys: dict[str, str]
    seconds_render: float


def run_shard(bench: Bench, items: Sequence[Item]) -> ShardOutput:
    """Run ``items``; every item yields rows, a failed one a row with status ``failed`` and the reason."""
    out = ShardOutput()
    known: dict[str, tuple[Vectors, float] | _Broken] = {}
    kept: list[tuple[Item, dict[str, str]]] = []
    with bench.intervention.on(bench.model):
        for start in range(0, len(items), CHUNK_ITEMS):
            chunk = [_ask(bench, item) for item in items[start : start + CHUNK_ITEMS]]
            _embed_missing(bench, [a for a in chunk if isinstance(a, _Asked)], known)
            for item, asked in zip(items[start : start + CHUNK_ITEMS], chunk, strict=True):
                _finish(bench, item, asked, known, out, kept)
    if bench.task.keeps_outputs:
        out.kept = _pack(items, kept, known)
    peak = _peak_bytes()
    for row in out.rows:
        row["peak_bytes"] = peak
    return out


def _ask(bench: Bench, item: Item) -> _Asked | _Broken:
    start = time.perf_counter()
    try:
        item = bench.condition(item)
        request = bench.task.request(item, bench.model.card)
        signals: dict[str, Audio] = {}
        if request.inputs:
            rendered = item.inputs.render(bench.model.card.rate or DEFAULT_RATE)
            missing = [n for n in request.inputs if n not in rendered]
            if missing:
                raise InputError(f"the item has no input {missing[0]!r}", where=item.id)
            signals = {n: rendered[n] for n in request.inputs}
    except Exception as e:
        return _Broken(e)
    # What the network hears decides what is equal: through ``channels=left`` a whole triplet can share one vector.
    key = getattr(bench.model, "key", Audio.digest)
    keys = {n: key(a) for n, a in signals.items()} if isinstance(request, Encode) else {}
    return _Asked(item, request, signals, keys, time.perf_counter() - start)


def _embed_missing(bench: Bench, chunk: Sequence[_Asked], known: dict[str, Any]) -> None:
    todo: dict[str, Audio] = {}
    alone: dict[str, Audio] = {}
    for asked in chunk:
        if isinstance(asked.request, Encode):
            for name, key in asked.keys.items():
                if key not in known:
                    todo.setdefault(key, asked.signals[name])
            if asked.request.repeat:
                key = "again:" + asked.keys[asked.request.repeat]
                if key not in known:
                    alone.setdefault(key, asked.signals[asked.request.repeat])
    keys = list(todo)
    for start in range(0, len(keys), bench.batch):
        part = keys[start : start + bench.batch]
        _embed(bench.model, part, [todo[k] for k in part], known)
    for key, audio in alone.items():
        _embed(bench.model, [key], [audio], known)


def _embed(model: Any, keys: Sequence[str], audio: Sequence[Audio], known: dict[str, Any]) -> None:
    start = time.perf_counter()
    try:
        vectors = model.embed(audio)
        if len(vectors) != len(audio):
            raise ModelError(f"gave {len(vectors)} embeddings for {len(audio)} sounds", where=model.card.name)
    except Exception as e:
        if len(keys) == 1:
            known[keys[0]] = _Broken(e)
            return
        half = len(keys) // 2
        _embed(model, keys[:half], audio[:half], known)
        _embed(model, keys[half:], audio[half:], known)
        return
    each = (time.perf_counter() - start) / len(keys)
    for key, vector in zip(keys, vectors, strict=True):
        known[key] = (vector, each)


def _finish(
    bench: Bench,
    item: Item,
    asked: _Asked | _Broken,
    known: dict[str, Any],
    out: ShardOutput,
    kept: list[tuple[Item, dict[str, str]]],
) -> None:
    if isinstance(asked, _Broken):
        out.rows.extend(failure_records(item, explain(asked.error)))
        out.n_failed += 1
        return
    start = time.perf_counter()
    try:
        output, seconds = _output(bench, asked, known)
        if bench.task.keeps_outputs:
            kept.append((item, asked.keys or _keep_decision(asked.item, output, known)))
        rows = bench.task.score(asked.item, output)
    except Exception as e:
        out.rows.extend(failure_records(item, explain(e)))
        out.n_failed += 1
        return
    if isinstance(asked.request, Decide):
        seconds = time.perf_counter() - start
    out.rows.extend(item_records(asked.item, rows, cost=Cost(asked.seconds_render, seconds)))


def _output(bench: Bench, asked: _Asked, known: Mapping[str, Any]) -> tuple[Any, float]:
    if isinstance(asked.request, Decide):
        return bench.model.decide(asked.request.quantity, asked.signals, asked.request.about), 0.0
    per_name: dict[str, Vectors] = {}
    seconds = 0.0
    for name, key in asked.keys.items():
        found = known[key]
        if isinstance(found, _Broken):
            raise found.error
        per_name[name] = found[0]
        seconds += found[1]
    layers = list(next(iter(per_name.values())))
    vectors = {layer: {name: v[layer] for name, v in per_name.items()} for layer in layers}
    again: Vectors = {}
    if isinstance(asked.request, Encode) and asked.request.repeat:
        found = known["again:" + asked.keys[asked.request.repeat]]
        if isinstance(found, _Broken):
            raise found.error
        again = found[0]
    return Embedded(vectors, again), seconds


def _keep_decision(item: Item, decision: Mapping[str, Any], known: dict[str, Any]) -> dict[str, str]:
    """An observer's decision variables, kept beside embeddings: one short vector per named interval."""
    keys = {}
    for name, value in decision.items():
        keys[name] = f"{item.id}/{name}"
        known[keys[name]] = ({"last": np.atleast_1d(np.asarray(value, dtype=np.float32))}, 0.0)
    return keys


def readout_records(rows: Sequence[tuple[Item, list[Row]]]) -> list[dict[str, Any]]:
    """Rows of a readout, in the store's form."""
    return [record for item, found in rows if found for record in item_records(item, found)]


def failed_rows(items: Sequence[Item], error: Exception) -> list[dict[str, Any]]:
    """A failure row for every item: the model could not be loaded, or a readout could not be fitted."""
    return [record for item in items for record in failure_records(item, explain(error))]


def explain(error: Exception) -> str:
    """An error in one line: rows are read in tables."""
    text = str(error) if isinstance(error, OtoscopeError) else f"{type(error).__name__}: {error}"
    return " ".join(text.split())[:2000]


def _pack(
    items: Sequence[Item], kept: Sequence[tuple[Item, dict[str, str]]], known: Mapping[str, Any]
) -> dict[str, NDArray[Any]]:
    """Embeddings of a shard as arrays: ``row:<name>`` [items] into the rows of ``layer:<layer>`` [sounds, D]; -1 marks
    an item that failed."""
    position = {item.id: i for i, item in enumerate(items)}
    names = sorted({n for _, keys in kept for n in keys})
    rows: dict[str, int] = {}
    arrays: dict[str, NDArray[Any]] = {f"row:{n}": np.full(len(items), -1, dtype=np.int32) for n in names}
    for item, keys in kept:
        for name in names:
            arrays[f"row:{name}"][position[item.id]] = rows.setdefault(keys[name], len(rows))
    layers = list(known[next(iter(rows))][0]) if rows else []
    return arrays | {f"layer:{layer}": np.stack([known[key][0][layer] for key in rows]) for layer in layers}


def unpack(items: Sequence[Item], arrays: Mapping[str, NDArray[Any]]) -> list[Embedded | None]:
    """The inverse of the packing above: one :class:`Embedded` per item, None for a failed one."""
    rows = {k.removeprefix("row:"): v for k, v in arrays.items() if k.startswith("row:")}
    layers = {k.removeprefix("layer:"): v for k, v in arrays.items() if k.startswith("layer:")}
    out: list[Embedded | None] = []
    for i in range(len(items)):
        where = {name: int(v[i]) for name, v in rows.items()}
        if not where or min(where.values()) < 0:
            out.append(None)
        else:
            out.append(Embedded({layer: {n: m[k] for n, k in where.items()} for layer, m in layers.items()}))
    return out


def _peak_bytes() -> int | None:
    """Peak resident memory of this process so far, in bytes."""
    try:
        import resource
    except ImportError:  # Windows has no resource module; the column stays empty there
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak if sys.platform == "darwin" else peak * 1024)
