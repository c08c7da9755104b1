"""Rows that come one after the other (a stream of the library ``datasets``, say) as tar shards with their manifest.

A stream has no lengths before it is read and no places to go back to, and exact resume wants both. So a stream is gone
through once: sound files are copied as they are into WebDataset shards, and training reads these in any order."""

from __future__ import annotations

import io as bytes_io
import itertools
import json
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from otoscope.audio import io
from otoscope.core.errors import InputError, UsageError
from otoscope.training.uniwhisper.records import write_records

#: Formats by the first bytes of a sound file; what else there is, its name says.
_MAGIC = ((b"RIFF", "wav"), (b"fLaC", "flac"), (b"OggS", "ogg"), (b"ID3", "mp3"))


@dataclass(frozen=True)
class Columns:
    """Which columns hold the sound, the answer, and (where there are any) what is not to be divided. ``classes``:
    names of an answer that is given by number."""

    audio: str = "audio"
    answer: str = "text"
    group: str | None = None
    classes: Sequence[str] = ()


@dataclass(frozen=True)
class Sharded:
    """What was written; ``left_out`` are rows that could not be read, and why."""

    n: int
    hours: float
    shards: int
    left_out: tuple[tuple[str, str], ...]


@dataclass
class _Writer:
    into: Path
    each: int
    shards: int = 0
    held: list[tuple[str, bytes]] = field(default_factory=list)

    def add(self, name: str, data: bytes) -> str:
        """Returns the shard that ``name`` will be in."""
        shard = f"shard-{self.shards:06d}.tar"
        self.held.append((name, data))
        if len(self.held) == self.each:
            self.flush()
        return shard

    def flush(self) -> None:
        if not self.held:
            return
        target = self.into / f"shard-{self.shards:06d}.tar"
        part = target.with_suffix(".part")
        with tarfile.open(part, "w") as archive:
            for name, data in self.held:
                told = tarfile.TarInfo(name)
                told.size = len(data)
                archive.addfile(told, bytes_io.BytesIO(data))
        part.replace(target)
        self.shards += 1
        self.held.clear()


def to_shards(
    rows: Iterable[Mapping[str, Any]],
    into: Path,
    task: str,
    columns: Columns | None = None,
    *,
    name: str = "stream",
    domain: str = "",
    split: str = "train",
    each: int = 500,
    longest_s: float = 30.0,
    beside: Path | None = None,
) -> Sharded:
    """Write ``into/manifest.jsonl`` and ``into/shard-NNNNNN.tar`` of ``each`` sounds. A sound is ``{"bytes", "path"}``,
    the bytes of a file, or a path (relative to ``beside``). Rows that cannot be read or last longer than ``longest_s``
    are left out and named. Raises :class:`InputError` on a missing column and where nothing is left, and
    :class:`UsageError` where ``into`` has a manifest already."""
    if (into / "manifest.jsonl").exists():
        raise UsageError("has a manifest already", where=str(into), fix="Name another folder.")
    into.mkdir(parents=True, exist_ok=True)
    chosen = columns or Columns()
    writer, left_out = _Writer(into, each), list[tuple[str, str]]()
    seconds = 0.0

    def records() -> Iterator[dict[str, Any]]:
        nonlocal seconds
        for i, row in enumerate(rows):
            where = f"{name}, row {i}"
            if missing := [c for c in (chosen.audio, chosen.answer, chosen.group) if c is not None and c not in row]:
                known = ", ".join(map(str, row))
                raise InputError(f"has no column {missing[0]!r}", where=where, fix=f"Columns: {known}.")
            try:
                data = _bytes(row[chosen.audio], beside, where)
                length = io.info_bytes(data, where).duration_s
                if length > longest_s:
                    raise InputError(f"lasts {length:.1f} s", where=where)
                answer = _answer(row[chosen.answer], chosen.classes, where)
            except InputError as e:
                left_out.append((where, str(e)))
                continue
            member = f"{i:09d}.{next((kind for magic, kind in _MAGIC if data.startswith(magic)), 'bin')}"
            record = {
                "key": f"{name}/{i:09d}", "task": task, "answer": answer, "tar": writer.add(member, data),
                "member": member, "duration_s": round(length, 6), "dataset": name, "split": split,
            }  # fmt: skip
            seconds += length
            more = {"domain": domain, "group": "" if chosen.group is None else str(row[chosen.group])}
            yield {**record, **{k: v for k, v in more.items() if v}}

    part = into / "manifest.part"
    n = write_records(records(), part)
    writer.flush()
    if not n:
        part.unlink()
        first = f": {left_out[0][1]}" if left_out else ""
        raise InputError(f"gives no record; {len(left_out)} left out{first}", where=name)
    part.replace(into / "manifest.jsonl")
    return Sharded(n, seconds / 3600, writer.shards, tuple(left_out))


def _bytes(value: Any, beside: Path | None, where: str) -> bytes:
    if isinstance(value, Mapping) and isinstance(value.get("bytes"), bytes):
        return bytes(value["bytes"])
    if isinstance(value, bytes):
        return value
    path = value.get("path") if isinstance(value, Mapping) else value
    if not isinstance(path, str) or not path:
        kind = type(value).__name__
        raise InputError(
            f"its sound is a {kind}, neither bytes nor a path", where=where, fix="Do not let the stream decode it."
        )
    file = Path(path) if beside is None else beside / path
    try:
        return file.read_bytes()
    except OSError as e:
        raise InputError(f"cannot be read: {e.strerror}", where=str(file)) from e


def _answer(value: Any, classes: Sequence[str], where: str) -> str | list[str]:
    many = list(value) if isinstance(value, list | tuple) else [value]
    found = []
    for one in many:
        if classes and isinstance(one, int):
            if not 0 <= one < len(classes):
                raise InputError(f"class {one} of {len(classes)}", where=where)
            found.append(classes[one].replace("_", " "))
        elif isinstance(one, str) and one.strip():
            found.append(" ".join(one.split()))
        else:
            raise InputError(f"its answer is {json.dumps(value, default=str)[:60]}", where=where)
    if not found:
        raise InputError("it has no answer", where=where)
    return found if isinstance(value, list | tuple) else found[0]


def opened(
    source: str, split: str, columns: Columns, limit: int | None = None
) -> tuple[Iterable[Mapping[str, Any]], Columns, Path | None]:
    """A stream of the library ``datasets``: a hub id, a folder that it has saved or can read, or a parquet or JSON
    lines file; with the names of classes, and the folder that paths begin at. Nothing is decoded by the library, and
    no code of a data set is run. Raises :class:`UsageError` without the library and :class:`InputError`."""
    try:
        import datasets
    except ImportError as e:
        fix = "pip install datasets"
        raise UsageError("streams want the package datasets", where=source, fix=fix) from e
    path = Path(source).expanduser()
    kinds = {".parquet": "parquet", ".jsonl": "json", ".json": "json"}
    try:
        if path.is_dir() and any((path / n).is_file() for n in ("dataset_dict.json", "dataset_info.json")):
            saved = datasets.load_from_disk(str(path))
            found = (saved[split] if isinstance(saved, datasets.DatasetDict) else saved).to_iterable_dataset()
        elif path.is_file() and path.suffix in kinds:
            found = datasets.load_dataset(kinds[path.suffix], data_files=str(path), split="train", streaming=True)
        else:
            found = datasets.load_dataset(str(path) if path.is_dir() else source, split=split, streaming=True)
    except (OSError, ValueError, KeyError) as e:
        raise InputError(f"is no data set with a split {split!r}: {str(e).splitlines()[0]}", where=source) from e
    features = found.features or {}
    if isinstance(features.get(columns.audio), datasets.Audio):
        found = found.cast_column(columns.audio, datasets.Audio(decode=False))
    answer = features.get(columns.answer)
    inner = getattr(answer, "feature", answer)
    if isinstance(inner, datasets.ClassLabel):
        columns = Columns(columns.audio, columns.answer, columns.group, tuple(inner.names))
    rows = found if limit is None else itertools.islice(found, limit)
    return rows, columns, path.parent if path.is_file() else None
