"""Asking encoders: equal sounds once, in batches; a batch that fails is halved until the sound that fails is found."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otoscope.core.audio import Audio
from otoscope.core.errors import ModelError
from otoscope.core.items import Item
from otoscope.core.nouns import Embedded, Encode, Layer
from otoscope.experiments.bench import Asked, Bench, Broken

Vectors = Mapping[Layer, NDArray[np.float32]]
#: By sound: its vectors and the seconds they took, or what went wrong.
Known = dict[str, "tuple[Vectors, float] | Broken"]


def embed_missing(bench: Bench, chunk: Sequence[Asked], known: Known) -> None:
    """Embed what ``chunk`` asks for and ``known`` lacks. The second pass over ``Encode.repeat`` is alone."""
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


def _embed(model: Any, keys: Sequence[str], audio: Sequence[Audio], known: Known) -> None:
    start = time.perf_counter()
    try:
        vectors = model.embed(audio)
        if len(vectors) != len(audio):
            raise ModelError(f"gave {len(vectors)} embeddings for {len(audio)} sounds", where=model.card.name)
    except Exception as e:
        if len(keys) == 1:
            known[keys[0]] = Broken(e)
            return
        half = len(keys) // 2
        _embed(model, keys[:half], audio[:half], known)
        _embed(model, keys[half:], audio[half:], known)
        return
    each = (time.perf_counter() - start) / len(keys)
    for key, vector in zip(keys, vectors, strict=True):
        known[key] = (vector, each)


def embedded(asked: Asked, known: Known) -> tuple[Embedded, float]:
    """What the task gets for one item, and the seconds of its sounds; raises what its sounds raised."""
    per_name: dict[str, Vectors] = {}
    seconds = 0.0
    for name, key in asked.keys.items():
        vectors, took = _found(known[key])
        per_name[name] = vectors
        seconds += took
    layers = list(next(iter(per_name.values())))
    vectors_by_layer = {layer: {name: v[layer] for name, v in per_name.items()} for layer in layers}
    again: Vectors = {}
    if isinstance(asked.request, Encode) and asked.request.repeat:
        again, _ = _found(known["again:" + asked.keys[asked.request.repeat]])
    return Embedded(vectors_by_layer, again), seconds


def _found(value: tuple[Vectors, float] | Broken) -> tuple[Vectors, float]:
    if isinstance(value, Broken):
        raise value.error
    return value


# --- kept outputs -----------------------------------------------------------------------------------------------


def keep_decision(item: Item, decision: Mapping[str, Any], known: Known) -> dict[str, str]:
    """An observer's decision variables, kept beside embeddings: one short vector per named interval."""
    keys = {}
    for name, value in decision.items():
        keys[name] = f"{item.id}/{name}"
        known[keys[name]] = ({"last": np.atleast_1d(np.asarray(value, dtype=np.float32))}, 0.0)
    return keys


def pack(items: Sequence[Item], kept: Sequence[tuple[Item, dict[str, str]]], known: Known) -> dict[str, NDArray[Any]]:
    """Embeddings of a shard as arrays: ``row:<name>`` [items] into the rows of ``layer:<layer>`` [sounds, D]; -1 marks
    an item that failed."""
    position = {item.id: i for i, item in enumerate(items)}
    names = sorted({n for _, keys in kept for n in keys})
    rows: dict[str, int] = {}
    arrays: dict[str, NDArray[Any]] = {f"row:{n}": np.full(len(items), -1, dtype=np.int32) for n in names}
    for item, keys in kept:
        for name in names:
            arrays[f"row:{name}"][position[item.id]] = rows.setdefault(keys[name], len(rows))
    layers = list(_found(known[next(iter(rows))])[0]) if rows else []
    return arrays | {f"layer:{layer}": np.stack([_found(known[key])[0][layer] for key in rows]) for layer in layers}


def unpack(items: Sequence[Item], arrays: Mapping[str, NDArray[Any]]) -> list[Embedded | None]:
    """The inverse of :func:`pack`: one :class:`Embedded` per item, None for a failed one."""
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
