"""What a converter gives: a sound file of a data set, a task that it serves, and the answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Found:
    """``key`` is unique within the data set and task. ``more`` are further texts of the record: ``domain``, ``group``,
    ``split`` (``train``, ``valid``, ``test``), ``language``, ``license``."""

    path: Path
    key: str
    task: str
    answer: str | tuple[str, ...]
    more: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Converter:
    """One published data set. ``read`` lists a folder of it without opening a sound; it raises :class:`InputError`
    where the folder is not as published."""

    name: str
    about: str
    tasks: tuple[str, ...]
    read: Callable[[Path], Iterable[Found]]


def words(label: str) -> str:
    """A class name as words: ``Electric_guitar`` is ``electric guitar``."""
    return label.replace("_", " ").lower()
