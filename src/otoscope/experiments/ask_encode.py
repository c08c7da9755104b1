"""Asking encoders: equal sounds once, in batches; a batch that fails is halved until the sound that fails is found."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from otoscope.core.audio import Audio
from otoscope.core.errors import ModelError
from otoscope.core.items import Item
from otoscope.core.nouns import Embedded, Encode, Layer
from otoscope.experiments.bench import Asked, Bench, Broken

if TYPE_CHECKING:
    from otoscope.experiments.recall import Recall

Vectors = Mapping[Layer, NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class Heard:
    """What an encoder gave for one sound: vectors ``[D]`` and, where asked for, frames ``[T, D]`` per layer."""

    vectors: Vectors
    frames: Vectors = field(default_factory=dict)
    hop_s: float | None = None


#: By sound: what it gave and the seconds that took (None: nothing was encoded, it was kept), or what went wrong.
Known = dict[str, "tuple[Heard, float | None] | Broken"]


def embed_missing(bench: Bench, chunk: Sequence[Asked], known: Known, recall: Recall | None = None) -> None:
    """Embed what ``chunk`` asks for and ``known`` lacks, unless ``recall`` has it. The second pass over
    ``Encode.repeat`` is alone."""
    todo: dict[str, Audio] = {}
    alone: dict[str, Audio] = {}
    frames = any(isinstance(a.request, Encode) and a.request.frames for a in chunk)
    for asked in chunk:
        if isinstance(asked.request, Encode):
            for name, key in asked.keys.items():
                if key not in known:
                    todo.setdefault(key, asked.signals[name])
            if asked.request.repeat:
                key = "again:" + asked.keys[asked.request.repeat]
                if key not in known:
                    alone.setdefault(key, asked.signals[asked.request.repeat])
    _encode(bench, todo, known, frames, recall)
    for key, audio in alone.items():
        _embed(bench.model, [key], [audio], known, False)


def _encode(bench: Bench, todo: Mapping[str, Audio], known: Known, frames: bool, recall: Recall | None) -> None:
    keys = list(todo)
    if recall is not None and keys and (found := recall.find(keys, frames)) is not None:
        known.update((key, (heard, None)) for key, heard in zip(keys, found, strict=True))
        return
    for start in range(0, len(keys), bench.batch):
        part = keys[start : start + bench.batch]
        _embed(bench.model, part, [todo[k] for k in part], known, frames)
    if recall is not None and keys:
        whole = [v for k in keys if not isinstance(v := known[k], Broken)]
        if len(whole) == len(keys):
            recall.keep(keys, [heard for heard, _ in whole], frames)


def _embed(model: Any, keys: Sequence[str], audio: Sequence[Audio], known: Known, frames: bool) -> None:
    start = time.perf_counter()
    try:
        found = [Heard(*x) for x in model.embed_frames(audio)] if frames else [Heard(v) for v in model.embed(audio)]
        if len(found) != len(audio):
            raise ModelError(f"gave {len(found)} embeddings for {len(audio)} sounds", where=model.card.name)
    except Exception as e:
        if len(keys) == 1:
            known[keys[0]] = Broken(e)
            return
        half = len(keys) // 2
        _embed(model, keys[:half], audio[:half], known, frames)
        _embed(model, keys[half:], audio[half:], known, frames)
        return
    each = (time.perf_counter() - start) / len(keys)
    for key, heard in zip(keys, found, strict=True):
        known[key] = (heard, each)


def embedded(asked: Asked, known: Known) -> tuple[Embedded, float | None]:
    """What the task gets for one item, and the seconds of its sounds (None where one of them was kept from another
    run: nobody measured them now); raises what its sounds raised."""
    per_name: dict[str, Heard] = {}
    seconds: float | None = 0.0
    for name, key in asked.keys.items():
        per_name[name], took = _found(known[key])
        seconds = None if seconds is None or took is None else seconds + took
    first = next(iter(per_name.values()))
    vectors = {layer: {n: h.vectors[layer] for n, h in per_name.items()} for layer in first.vectors}
    frames = {layer: {n: h.frames[layer] for n, h in per_name.items()} for layer in first.frames}
    again: Vectors = {}
    if isinstance(asked.request, Encode) and asked.request.repeat:
        again = _found(known["again:" + asked.keys[asked.request.repeat]])[0].vectors
    return Embedded(vectors, again, frames, first.hop_s), seconds


def _found(value: tuple[Heard, float | None] | Broken) -> tuple[Heard, float | None]:
    if isinstance(value, Broken):
        raise value.error
    return value


# --- kept outputs -----------------------------------------------------------------------------------------------


def keep_decision(item: Item, decision: Mapping[str, Any], known: Known) -> dict[str, str]:
    """An observer's decision variables, kept beside embeddings: one short vector per named interval."""
    keys = {}
    for name, value in decision.items():
        keys[name] = f"{item.id}/{name}"
        known[keys[name]] = (Heard({"last": np.atleast_1d(np.asarray(value, dtype=np.float32))}), 0.0)
    return keys


def pack(items: Sequence[Item], kept: Sequence[tuple[Item, dict[str, str]]], known: Known) -> dict[str, NDArray[Any]]:
    """Embeddings of a shard as arrays: ``row:<name>`` [items] into the rows of ``layer:<layer>`` [sounds, D]; -1 marks
    an item that failed. Frames: ``frames:<layer>`` [frames of all sounds, D], where sound k has those from
    ``frames-at:<layer>``[k] to [k + 1], and ``hop`` [sounds] (NaN: unknown)."""
    position = {item.id: i for i, item in enumerate(items)}
    names = sorted({n for _, keys in kept for n in keys})
    rows: dict[str, int] = {}
    arrays: dict[str, NDArray[Any]] = {f"row:{n}": np.full(len(items), -1, dtype=np.int32) for n in names}
    for item, keys in kept:
        for name in names:
            arrays[f"row:{name}"][position[item.id]] = rows.setdefault(keys[name], len(rows))
    heard = [_found(known[key])[0] for key in rows]
    if not heard:
        return arrays
    arrays |= {f"layer:{layer}": np.stack([h.vectors[layer] for h in heard]) for layer in heard[0].vectors}
    for layer in heard[0].frames:
        found = [h.frames[layer] for h in heard]
        arrays[f"frames:{layer}"] = np.concatenate(found)
        arrays[f"frames-at:{layer}"] = np.cumsum([0, *(len(f) for f in found)], dtype=np.int64)
    if heard[0].frames:
        arrays["hop"] = np.array([np.nan if h.hop_s is None else h.hop_s for h in heard], dtype=np.float64)
    return arrays


def unpack(items: Sequence[Item], arrays: Mapping[str, NDArray[Any]]) -> list[Embedded | None]:
    """The inverse of :func:`pack`: one :class:`Embedded` per item, None for a failed one."""
    rows = {k.removeprefix("row:"): v for k, v in arrays.items() if k.startswith("row:")}
    layers = {k.removeprefix("layer:"): v for k, v in arrays.items() if k.startswith("layer:")}
    frames = {k.removeprefix("frames:"): v for k, v in arrays.items() if k.startswith("frames:")}
    out: list[Embedded | None] = []
    for i in range(len(items)):
        where = {name: int(v[i]) for name, v in rows.items()}
        if not where or min(where.values()) < 0:
            out.append(None)
        else:
            vectors: dict[Layer, Any] = {layer: {n: m[k] for n, k in where.items()} for layer, m in layers.items()}
            own: dict[Layer, Any] = {
                layer: {n: m[arrays[f"frames-at:{layer}"][k] : arrays[f"frames-at:{layer}"][k + 1]]
                        for n, k in where.items()}
                for layer, m in frames.items()
            }  # fmt: skip
            hop = float(arrays["hop"][next(iter(where.values()))]) if "hop" in arrays else math.nan
            out.append(Embedded(vectors, {}, own, hop if math.isfinite(hop) else None))
    return out
