"""What a copy of the data set consists of: a line per sound file, with its digest, length and rate; and what is amiss.

The published data set has no versions and lost files after its results were printed, so two copies differ without
saying so. :func:`describe` names every file that the ten tasks ask for, those that are missing included;
:func:`changes` tells two copies apart.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from otoscope.audio import io
from otoscope.core.errors import InputError
from otoscope.core.identity import file_digest
from otoscope.tasks.audiomarathon.kinds import KINDS
from otoscope.tasks.audiomarathon.layout import Entry, read_entries


@dataclass(frozen=True)
class Line:
    """One file: ``path`` in the data set, the ``tasks`` that ask for it and how many of their ``entries``. ``problem``
    says what is wrong with it or with an entry; what is not known then is None."""

    path: str
    tasks: tuple[str, ...]
    entries: int
    sha256: str | None = None
    bytes: int | None = None
    duration_s: float | None = None
    rate: int | None = None
    channels: int | None = None
    problem: str | None = None


@dataclass(frozen=True)
class Described:
    """``lines`` sorted by path. ``absent``: by task, why its metadata cannot be read."""

    lines: tuple[Line, ...]
    absent: Mapping[str, str]

    @property
    def problems(self) -> list[str]:
        """One sentence each."""
        return [*(f"{task}: {why}" for task, why in self.absent.items()), *(x.problem for x in self.lines if x.problem)]


def describe(root: Path, tasks: Sequence[str] = (), tell: Callable[[str], None] = lambda path: None) -> Described:
    """Every file of ``tasks`` (all ten) under ``root``; ``tell`` gets the path of each before it is read."""
    by_path: dict[str, list[Entry]] = {}
    absent: dict[str, str] = {}
    for task in tasks or tuple(KINDS):
        try:
            found = read_entries(root, task)
        except InputError as e:
            absent[task] = str(e)
            continue
        for entry in found:
            by_path.setdefault(entry.name, []).append(entry)
    if len(absent) == len(tasks or KINDS):
        raise InputError(f"is no copy of AudioMarathon: {next(iter(absent.values()))}", where=str(root))
    lines = []
    for name in sorted(by_path):
        tell(name)
        lines.append(_line(name, by_path[name]))
    return Described(tuple(lines), absent)


def _line(name: str, entries: Sequence[Entry]) -> Line:
    path = entries[0].path
    tasks = tuple(dict.fromkeys(e.task for e in entries))
    problem = next((e.problem for e in entries if e.problem), None)
    blank = Line(name, tasks, len(entries), problem=problem)
    if not name or not path.is_file():
        return blank
    try:
        known = io.info(path)
    except InputError as e:
        return Line(name, tasks, len(entries), file_digest(path), path.stat().st_size, problem=str(e))
    size = path.stat().st_size
    return Line(
        name, tasks, len(entries), file_digest(path), size, known.duration_s, known.rate, known.channels, problem
    )


def dumps(lines: Iterable[Line]) -> str:
    """A JSON object a line."""
    return "".join(json.dumps(asdict(x), ensure_ascii=False) + "\n" for x in lines)


def loads(path: Path) -> tuple[Line, ...]:
    """The lines of a manifest that :func:`dumps` wrote. Raises :class:`InputError` naming the line."""
    found = []
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as e:
        raise InputError(f"cannot be read: {e}", where=str(path)) from e
    for number, row in enumerate(text.splitlines(), 1):
        try:
            data: dict[str, Any] = json.loads(row)
            found.append(Line(**{**data, "tasks": tuple(data["tasks"])}))
        except (ValueError, KeyError, TypeError) as e:
            raise InputError(f"is no line of a manifest: {e}", where=f"{path}, line {number}") from e
    return tuple(found)


def changes(before: Sequence[Line], after: Sequence[Line]) -> list[str]:
    """How two copies differ, a sentence per file."""
    old, new = ({x.path: x for x in side} for side in (before, after))
    said = [f"{p} is only in the earlier manifest" for p in sorted(old.keys() - new.keys())]
    said += [f"{p} is new" for p in sorted(new.keys() - old.keys())]
    for p in sorted(old.keys() & new.keys()):
        if old[p].sha256 != new[p].sha256:
            gone = "is missing now" if new[p].sha256 is None else "was missing" if old[p].sha256 is None else ""
            said.append(f"{p} {gone or 'has other content'}")
    return said
