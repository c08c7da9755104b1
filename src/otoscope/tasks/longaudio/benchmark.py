"""A built benchmark read back: the lines of its manifest as entries, checked where they are used."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from filelock import FileLock

from otoscope.audio import io
from otoscope.core.audio import Audio
from otoscope.core.cache import cache_folder
from otoscope.core.errors import InputError
from otoscope.core.identity import digest
from otoscope.core.items import Factor
from otoscope.tasks.audiomarathon.layout import Entry
from otoscope.tasks.longaudio.builder import ABOUT, FORMAT, MANIFEST, VERSION, Plan, build
from otoscope.tasks.longaudio.families import FAMILIES

#: What the tasks are of where no folder is named: a family at a time, made when it is asked for (ours, small).
OWN = functools.partial(Plan, lengths_s=(12.0, 24.0, 48.0), items=20)
_NEEDED: Mapping[str, type | tuple[type, ...]] = {
    "id": str, "base_id": str, "family": str, "split": str, "file": str, "start_s": (int, float),
    "seconds": (int, float), "question": str, "options": list, "answer": str, "group": str, "factors": dict,
}  # fmt: skip


@dataclass(frozen=True)
class Stretch:
    """One question about ``seconds`` of a file from ``start_s`` on. ``entry.id`` is without the length."""

    entry: Entry
    id: str
    start_s: float
    seconds: float
    split: str
    heard: Any = None


def read_benchmark(root: Path) -> tuple[Stretch, ...]:
    """All lines, in the order of the file. Raises :class:`InputError` on a folder that is no benchmark, and naming the
    line that lacks a field or has a value of the wrong kind."""
    path = root / MANIFEST
    if not path.is_file() or not (root / ABOUT).is_file():
        raise InputError(
            f"holds no {MANIFEST} and {ABOUT}", where=str(root), fix="Build one: otoscope build long-audio."
        )
    about = _json((root / ABOUT).read_text(encoding="utf-8"), str(root / ABOUT))
    if about.get("format") != FORMAT or not isinstance(about.get("version"), int) or about["version"] > VERSION:
        raise InputError(f"is no benchmark of the format {FORMAT}, version {VERSION} or below", where=str(root / ABOUT))
    found = []
    for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        where = f"{path}, line {number}"
        row = _json(text, where)
        for name, kind in _NEEDED.items():
            if name not in row:
                raise InputError(f"lacks {name}", where=where)
            if not isinstance(row[name], kind) or isinstance(row[name], bool):
                raise InputError(f"{name} has a value of the wrong kind: {row[name]!r}", where=where)
        found.append(_stretch(root, row, where))
    if not found:
        raise InputError("has no lines", where=str(path))
    return tuple(found)


def _json(text: str, where: str) -> dict[str, Any]:
    try:
        row = json.loads(text)
    except ValueError as e:
        raise InputError(f"is not JSON: {e}", where=where) from e
    if not isinstance(row, dict):
        raise InputError(f"is a {type(row).__name__}, not an object", where=where)
    return row


def _stretch(root: Path, row: Mapping[str, Any], where: str) -> Stretch:
    options = tuple(map(str, row["options"]))
    if options and row["answer"] not in options:
        raise InputError(f"answer {row['answer']!r} is none of the options", where=where)
    name = row["file"]
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise InputError(f"file {name!r} is not inside the benchmark", where=where)
    factors: dict[str, Factor] = {k: v for k, v in row["factors"].items() if isinstance(v, str | int | float | bool)}
    entry = Entry(
        row["family"],
        row["base_id"],
        name,
        root / name,
        row["question"],
        options,
        options.index(row["answer"]) if options else None,
        None if options else row["answer"],
        group=row["group"],
        factors=factors,
        problem=None if (root / name).is_file() else f"{name} is missing",
    )
    return Stretch(entry, row["id"], float(row["start_s"]), float(row["seconds"]), row["split"], row.get("heard"))


@lru_cache(maxsize=32)
def stretches(root: Path, family: str, split: str) -> tuple[Stretch, ...]:
    """Of a family and split, items in the order of their ids' digests, each at all lengths, shortest first. Raises
    :class:`InputError` where there are none."""
    found = [s for s in read_benchmark(root) if s.entry.task == family and s.split == split]
    if not found:
        raise InputError(f"has no items of the family {family} in the split {split}", where=str(root))
    return tuple(sorted(found, key=lambda s: (digest(s.entry.id), s.seconds)))


@functools.cache
def own_benchmark(family: str) -> Path:
    """The package's own benchmark of one family; it is made when it is first asked for (seconds)."""
    plan = OWN(families=(family,))
    name = digest({"version": VERSION, "plan": plan}, 12)
    folder = cache_folder() / f"long-audio-{family}-{name}"
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(str(folder) + ".lock"):
            if not folder.is_dir():
                build(plan, folder)
    return folder


@dataclass(frozen=True)
class StretchInputs:
    """A stretch of a file as ``clip``. ``donor``: the one whose sound ``shuffled-audio`` puts in its place."""

    stretch: Stretch
    donor: Stretch | None = None

    @property
    def names(self) -> tuple[str, ...]:
        return ("clip",)

    def render(self, rate: int) -> dict[str, Audio]:
        s = self.stretch
        if s.entry.problem is not None:
            raise InputError(s.entry.problem, where=s.id)
        return {"clip": io.read(s.entry.path, start_s=s.start_s, duration_s=s.seconds, rate=rate).mono()}

    def describe(self) -> Any:
        path = self.stretch.entry.path
        size = path.stat().st_size if path.is_file() else None
        return {"file": self.stretch.entry.name, "bytes": size, "start_s": self.stretch.start_s,
                "seconds": self.stretch.seconds}  # fmt: skip

    def shuffled(self) -> StretchInputs:
        """The same with the donor's sound. Raises :class:`InputError` where there is none."""
        if self.donor is None:
            raise InputError("there is no other recording of this length to take the sound from", where=self.stretch.id)
        return StretchInputs(self.donor)

    @property
    def transcript(self) -> str | None:
        """What is said in it, where that is known."""
        return self.stretch.entry.transcript


__all__ = ["FAMILIES", "Stretch", "StretchInputs", "own_benchmark", "read_benchmark", "stretches"]
