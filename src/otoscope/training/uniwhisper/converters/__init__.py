"""Manifests of records for data sets in their published layouts: one file, one data set."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from otoscope.audio import io
from otoscope.core.errors import InputError, UsageError
from otoscope.core.registry import suggestions
from otoscope.training.uniwhisper.converters import (
    audiocaps,
    clotho,
    esc50,
    fsd50k,
    gtzan,
    librispeech,
    musiccaps,
    nsynth,
    voxceleb,
)
from otoscope.training.uniwhisper.converters.found import Converter, Found
from otoscope.training.uniwhisper.records import write_records

__all__ = ["CONVERTERS", "Converted", "Converter", "Found", "convert", "converter"]

CONVERTERS: Mapping[str, Converter] = {
    m.CONVERTER.name: m.CONVERTER
    for m in (librispeech, voxceleb, fsd50k, esc50, clotho, audiocaps, gtzan, nsynth, musiccaps)
}
#: Tasks whose answer holds for every word or event of a sound, so that a part of it has another answer.
WHOLE = frozenset({"asr", "caption", "music-caption"})


@dataclass(frozen=True)
class Converted:
    """``hours`` of the ``n`` records written; what was left out and why, and how many sounds were cut."""

    n: int
    hours: float
    left_out: tuple[tuple[str, str], ...]
    cut: int


def converter(name: str) -> Converter:
    """Raises :class:`UsageError` on an unknown name."""
    if name not in CONVERTERS:
        near = suggestions(name, list(CONVERTERS)) or list(CONVERTERS)
        raise UsageError(f"there is no converter for {name!r}", fix=f"There are: {', '.join(near)}.")
    return CONVERTERS[name]


def convert(
    name: str,
    folder: str | os.PathLike[str],
    out: str | os.PathLike[str],
    tasks: Sequence[str] = (),
    longest_s: float = 30.0,
) -> Converted:
    """Write the manifest ``out`` of the data set ``name`` in ``folder``, for all its tasks or some.

    Sounds longer than ``longest_s`` are cut to their beginning, or left out where the answer is about the whole of them
    (:data:`WHOLE`). Missing and unreadable files are left out. Raises :class:`InputError` where the folder is not as
    published or nothing is left, :class:`UsageError` on an unknown name or task."""
    found = converter(name)
    if strange := [t for t in tasks if t not in found.tasks]:
        raise UsageError(f"{name} has no task {strange[0]!r}", fix=f"Tasks: {', '.join(found.tasks)}.")
    root, target = Path(folder).expanduser(), Path(out)
    if not root.is_dir():
        raise InputError("no such folder", where=str(root))
    left_out: dict[str, str] = {}
    tally = {"cut": 0, "seconds": 0.0}

    def rows() -> Iterator[Mapping[str, Any]]:
        for x in found.read(root):
            if tasks and x.task not in tasks:
                continue
            try:
                seconds = _seconds(x.path)
            except InputError as e:
                left_out[str(x.path)] = str(e)
                continue
            if seconds > longest_s and x.task in WHOLE:
                left_out[f"{x.path} ({x.task})"] = f"lasts {seconds:.1f} s"
                continue
            row = _row(name, x, min(seconds, longest_s), target)
            if seconds > longest_s:
                tally["cut"] += 1
                row["start_s"] = 0.0
            tally["seconds"] += row["duration_s"]
            yield row

    target.parent.mkdir(parents=True, exist_ok=True)
    n = write_records(rows(), target)
    if not n:
        why = f": {next(iter(left_out.items()))}" if left_out else ""
        target.unlink()
        raise InputError(f"gives no record of {name}; {len(left_out)} left out{why}", where=str(root))
    return Converted(n, tally["seconds"] / 3600, tuple(left_out.items()), int(tally["cut"]))


def _row(name: str, x: Found, seconds: float, target: Path) -> dict[str, Any]:
    return {
        "key": f"{name}/{x.key}/{x.task}", "task": x.task,
        "answer": x.answer if isinstance(x.answer, str) else list(x.answer),
        "path": Path(os.path.relpath(x.path.resolve(), target.parent.resolve())).as_posix(),
        "duration_s": round(seconds, 6), "dataset": name, **{k: v for k, v in x.more.items() if v},
    }  # fmt: skip


@lru_cache(maxsize=4)
def _seconds(path: Path) -> float:
    """Of the header; a file has several records in a row."""
    return io.info(path).duration_s
