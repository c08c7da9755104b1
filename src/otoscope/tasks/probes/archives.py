"""An X-ARES task read from its archives into a :class:`Collection`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from otoscope.core.errors import InputError
from otoscope.tasks.probes.catalog import XaresTask
from otoscope.tasks.probes.entries import Collection, Entry, Training
from otoscope.tasks.probes.tars import Sample, read_shard, shards


def read_archives(task: XaresTask, root: Path) -> Collection:
    """The task under ``root/<name>/*.tar``.

    Raises :class:`InputError` on missing or unreadable archives and where more classes are found than there are.
    """
    folder = root / task.name
    if not folder.is_dir():
        raise InputError(
            "no such folder",
            where=str(folder),
            fix=f"Fetch it with: otoscope data fetch xares/{task.name}, or name the folder above it with data=.",
        )
    entries = tuple(_entries(task, folder))
    classes = task.classes or tuple(sorted({c for e in entries for c in e.labels}))
    if task.n_classes and len(classes) > task.n_classes:
        raise InputError(f"{len(classes)} classes are found where the task has {task.n_classes}", where=str(folder))
    return Collection(
        name=f"xares/{task.name}",
        title=task.title,
        domain=task.domain,
        classes=classes,
        entries=entries,
        folds=bool(task.folds),
        metric=task.metric,
        kind=task.kind,
        training=Training(
            task.batch, task.epochs, task.lr, task.encode_batch, task.per_shard, task.crop_s, task.pos_weight
        ),
        knn=task.knn,
        weight=task.weight,
        published=task.title,
        more={"segment_s": task.segment_s, "grid_s": task.grid_s},
    )


def _entries(task: XaresTask, folder: Path) -> Iterator[Entry]:
    for part, pattern in task.parts.items():
        for path in shards(folder, pattern):
            for sample in read_shard(path):
                yield _entry(task, part, sample)


def _entry(task: XaresTask, part: str, sample: Sample) -> Entry:
    labels: tuple[str, ...] = ()
    target = None
    problem = sample.problem
    if problem is None:
        try:
            labels, target = _truth(task, sample.meta)
        except (KeyError, TypeError, ValueError) as e:
            problem = f"its json has no usable {task.field!r}: {type(e).__name__}: {e}"
    if problem is None and task.classes:
        strange = [x for x in labels if x not in task.classes]
        if strange:
            problem = f"its label {strange[0]!r} is not a class of {task.title}"
    shown = f"{sample.shard}/{sample.key}"
    return Entry(
        f"{part}/{sample.key}", part, labels, group_of(task, sample.key), sample.sound, sample.shard, target,
        None if problem is None else f"{shown}: {problem}",
    )  # fmt: skip


def _truth(task: XaresTask, meta: Any) -> tuple[tuple[str, ...], Any]:
    """Classes, and events or captions. Raises KeyError, TypeError or ValueError where the JSON is not as it should."""
    if task.kind == "contrastive":
        captions = [str(c) for c in meta.values()]
        return (), captions
    if task.kind == "asr":
        return (), str(meta[task.field])
    if task.kind == "frame":
        return _events(task, meta)
    value = meta[task.field]
    if task.separator is not None:
        return tuple(str(value).split(task.separator)), None
    label = _label(value)
    if task.other is not None and label not in task.classes:
        label = task.other
    return (label,), None


def _events(task: XaresTask, meta: Any) -> tuple[tuple[str, ...], Any]:
    start, end = ("start", "end") if task.field == "note" else ("onset", "offset")
    events = [(float(e[start]), float(e[end]), name) for e in meta for name in str(e[task.field]).split(",")]
    return tuple(dict.fromkeys(name for *_, name in events)), events


def _label(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise TypeError(f"{value!r} is no label")
    return str(value)


def group_of(task: XaresTask, key: str) -> str:
    """The speaker or source recording that the key names, where we know how to read it; else the key itself."""
    found = re.search(task.group, key.rpartition("/")[2]) if task.group else None
    return f"{task.name}:{found.group(1)}" if found else f"{task.name}:{key}"
