"""What every layout gives: sound files with what their data set says of them. Nothing is opened before it is used."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from otoscope.audio import io
from otoscope.audio.corpus import Clip
from otoscope.core.errors import InputError
from otoscope.core.identity import file_digest

Kind = Literal["speech", "sound"]


@dataclass(frozen=True)
class Listed:
    """A file of a data set. ``labels`` are its classes, most specific first; empty where it is ``speech``, of which
    ``sex`` is ``female``, ``male`` or unknown. ``group`` (speaker, source recording) is what a split keeps whole."""

    path: Path
    name: str
    kind: Kind
    group: str
    labels: tuple[str, ...] = ()
    sex: str | None = None
    split: str = ""
    more: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "more", MappingProxyType(dict(self.more)))

    def describe(self) -> list[Any]:
        """Plain JSON: what a choice among files depends on."""
        return [self.name, self.kind, self.group, list(self.labels), self.sex]


def opened(listed: Listed) -> Clip:
    """The clip: length, rate and sha256 from the file itself. Raises :class:`InputError` on an unreadable one."""
    head = io.info(listed.path)
    return Clip(
        listed.path,
        listed.name,
        head.duration_s,
        head.rate,
        head.channels,
        file_digest(listed.path),
        labels={"labels": listed.labels, "sex": listed.sex, **listed.more},
        group=listed.group,
    )


def read_table(path: Path, needed: tuple[str, ...]) -> list[dict[str, str]]:
    """A CSV file with a header that has at least the columns ``needed``. Raises :class:`InputError`."""
    if not path.is_file():
        raise InputError("no such file", where=str(path), fix="The data set's own tables are needed beside its audio.")
    try:
        with path.open(encoding="utf-8", newline="") as f:
            reader = csv.DictReader(f)
            missing = [c for c in needed if c not in (reader.fieldnames or [])]
            if missing:
                raise InputError(f"has no column {missing[0]!r}", where=str(path))
            rows = list(reader)
    except UnicodeDecodeError as e:
        raise InputError(f"is not UTF-8 text: {e}", where=str(path)) from e
    for number, row in enumerate(rows, 2):
        if any(row[c] in (None, "") for c in needed):
            raise InputError(f"line {number} lacks a value", where=str(path))
    return rows
