"""What is learned from: one record is a sound, the task it serves, and the answer. Instructions are chosen at load
time.

A manifest is JSON lines. Keys: ``key`` (unique), ``task`` (of the template bank), ``answer`` (text, or a list where
several labels hold), and the sound: ``path`` (relative to the manifest; with ``start_s``, ``duration_s`` a part of
it), ``tar`` and ``member`` (a WebDataset archive beside the manifest), ``made`` (``kind``, ``label``, ``seed`` of the
package's generator), or ``parts`` (a list of such sounds, one after the other with ``gaps_s``). ``duration_s`` is
always given, so that batches are planned without opening a file. Optional: ``domain``, ``dataset``, ``group``,
``source``, ``sha256``, ``language``, ``license``, ``split``, ``instruction`` (in place of the bank's)."""

from __future__ import annotations

import json
import os
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otoscope.audio import generator, io
from otoscope.audio.resample import resample
from otoscope.core.errors import InputError
from otoscope.tasks.probes.sources import TarMember

#: What encoders of this family hear (Hz).
RATE = 16_000
_TEXTS = ("domain", "dataset", "group", "source", "sha256", "language", "license", "split", "instruction")
_SOUNDS = ("path", "tar", "made", "parts")


@dataclass(frozen=True)
class Sound:
    """Where samples come from: a file or a part of it, a member of an archive, the generator, or several in a row."""

    path: Path | None = None
    start_s: float | None = None
    duration_s: float | None = None
    tar: Path | None = None
    member: str | None = None
    made: tuple[str, str, int] | None = None
    parts: tuple[Sound, ...] = ()
    gaps_s: tuple[float, ...] = ()

    def load(self) -> NDArray[np.float32]:
        """``[n]`` at :data:`RATE`, channels averaged. Raises :class:`InputError`, naming the file."""
        if self.parts:
            silence = [np.zeros(round(g * RATE), np.float32) for g in (*self.gaps_s, *([0.0] * len(self.parts)))]
            return np.concatenate([x for p, s in zip(self.parts, silence, strict=False) for x in (p.load(), s)])
        if self.made is not None:
            return _made(*self.made, self.duration_s)
        if self.tar is not None:
            audio = member_of(self.tar, str(self.member)).load()
            return resample(audio, RATE).mono().samples[0]
        assert self.path is not None
        return io.read(self.path, start_s=self.start_s, duration_s=self.duration_s, rate=RATE).mono().samples[0]


@dataclass(frozen=True)
class Record:
    """See the module. ``answer`` is one text or several labels."""

    key: str
    task: str
    answer: str | tuple[str, ...]
    sound: Sound
    duration_s: float
    domain: str = ""
    dataset: str = ""
    group: str = ""
    source: str = ""
    sha256: str = ""
    language: str = ""
    license: str = ""
    split: str = "train"
    instruction: str | None = None

    @property
    def words(self) -> int:
        """Words of the answer: what a language model's tokens are about proportional to."""
        text = self.answer if isinstance(self.answer, str) else " ".join(self.answer)
        return max(1, len(text.split()))


def read_records(path: str | os.PathLike[str]) -> tuple[Record, ...]:
    """The records of a manifest, in order; sounds are not opened. Raises :class:`InputError`, naming file and line."""
    file = Path(path)
    if not file.is_file():
        raise InputError("no such manifest of records", where=str(file))
    found: list[Record] = []
    seen: dict[str, int] = {}
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            record = _parse(line, file.parent, f"{file}, line {number}")
            if record.key in seen:
                raise InputError(
                    f"the key {record.key!r} is in line {seen[record.key]} too", where=f"{file}, line {number}"
                )
            seen[record.key] = number
            found.append(record)
    if not found:
        raise InputError("holds no records", where=str(file))
    return tuple(found)


def write_records(rows: Iterable[Mapping[str, Any]], path: str | os.PathLike[str]) -> int:
    """Rows as they stand in a manifest; each is checked as it will be read. Returns how many. The file appears whole or
    not at all."""
    file = Path(path)
    part = file.with_name(f".{file.name}.tmp")
    n = 0
    try:
        with part.open("w", encoding="utf-8") as out:
            for row in rows:
                text = json.dumps(row, ensure_ascii=False, sort_keys=True)
                _parse(text, file.parent, f"row {n + 1}")
                out.write(text + "\n")
                n += 1
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)
    return n


def _parse(line: str, folder: Path, where: str) -> Record:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as e:
        raise InputError(f"is not JSON: {e.msg}", where=where) from e
    if not isinstance(row, dict):
        raise InputError(f"is a {type(row).__name__}, not an object", where=where)
    if missing := [k for k in ("key", "task", "answer", "duration_s") if k not in row]:
        raise InputError(f"lacks {', '.join(missing)}", where=where)
    known = {"key", "task", "answer", "duration_s", "start_s", "member", "gaps_s", *_SOUNDS, *_TEXTS}
    if unknown := sorted(set(row) - known):
        raise InputError(f"has an unknown key {unknown[0]!r}", where=where, fix=f"Known: {', '.join(sorted(known))}.")
    for name in ("key", "task", *(t for t in _TEXTS if t in row)):
        if not isinstance(row[name], str):
            raise InputError(f"{name} is no text", where=where)
    seconds = row["duration_s"]
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds <= 0:
        raise InputError(f"duration_s={seconds} is not a length in seconds", where=where)
    more = {name: row[name] for name in _TEXTS if name in row}
    return Record(
        row["key"], row["task"], _answer(row["answer"], where), _sound(row, folder, where), float(seconds), **more
    )


def _answer(value: Any, where: str) -> str | tuple[str, ...]:
    if isinstance(value, str) and value.strip():
        return value
    if isinstance(value, list) and value and all(isinstance(v, str) and v.strip() for v in value):
        return tuple(value)
    raise InputError("answer is neither a text nor a list of labels", where=where)


def _sound(row: Mapping[str, Any], folder: Path, where: str) -> Sound:
    given = [k for k in _SOUNDS if k in row]
    if len(given) != 1:
        what = f"names {len(given)} sounds ({', '.join(given)})" if given else "names no sound"
        raise InputError(what, where=where, fix=f"Give one of {', '.join(_SOUNDS)}.")
    try:
        if "parts" in row:
            parts = tuple(_sound(p, folder, where) for p in row["parts"])
            return Sound(parts=parts, gaps_s=tuple(float(g) for g in row.get("gaps_s", ())))
        if "made" in row:
            made = row["made"]
            return Sound(
                made=(str(made["kind"]), str(made["label"]), int(made["seed"])), duration_s=_seconds(row, "duration_s")
            )
        name = str(row.get("tar") or row["path"])
        if Path(name).is_absolute():
            raise InputError(f"path {name!r} is not relative to the manifest", where=where)
        if "tar" in row:
            return Sound(tar=folder / name, member=str(row["member"]))
        start = _seconds(row, "start_s")
        return Sound(folder / name, start, None if start is None else _seconds(row, "duration_s"))
    except (KeyError, TypeError, ValueError, AttributeError) as e:
        raise InputError(f"its sound cannot be read: {type(e).__name__}: {e}", where=where) from e


def _seconds(row: Mapping[str, Any], name: str) -> float | None:
    return None if row.get(name) is None else float(row[name])


@lru_cache(maxsize=20_000)
def _kept(kind: str, label: str, seed: int, seconds: float) -> NDArray[np.int16]:
    audio = generator.generate(kind, label, seed, duration_s=seconds, rate=RATE)
    return np.rint(np.clip(audio.samples[0], -1, 1) * 32_767).astype(np.int16)


def _made(kind: str, label: str, seed: int, seconds: float | None) -> NDArray[np.float32]:
    """A generated sound; each is made once a process and kept in 16 bits."""
    return _kept(kind, label, seed, seconds or 4.0).astype(np.float32) / np.float32(32_767)


@lru_cache(maxsize=64)
def _index(tar: Path) -> dict[str, TarMember]:
    """Where the members of an archive lie; nothing is unpacked."""
    try:
        with tarfile.open(tar, "r:") as archive:
            return {m.name: TarMember(tar, m.name, m.offset_data, m.size) for m in archive if m.isreg()}
    except (OSError, tarfile.TarError) as e:
        raise InputError(f"cannot be read as an uncompressed archive: {e}", where=str(tar)) from e


def member_of(tar: Path, name: str) -> TarMember:
    """A member of an archive; nothing is unpacked. Raises :class:`InputError` where there is none."""
    found = _index(tar).get(name)
    if found is None:
        raise InputError(f"has no member {name!r}", where=str(tar))
    return found


def total_hours(records: Sequence[Record]) -> float:
    """Length of all sounds."""
    return sum(r.duration_s for r in records) / 3600
