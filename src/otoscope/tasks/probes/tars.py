"""X-ARES' audio archives, read where they lie: WebDataset tars of one sound and one ``json`` a sample.

Consecutive members that share their name up to the first dot of the base name are one sample. Nothing is unpacked and
no path of an archive is ever opened, so a hostile name can do nothing. What an archive lacks is said: a sample without
a sound or without a label keeps its place with the ``problem``. Fact sheet, section 4.1.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from otoscope.core.errors import InputError
from otoscope.tasks.probes.sources import TarMember

#: Suffixes of sounds that libsndfile reads, and of those that X-ARES takes besides.
SOUNDS = ("wav", "flac", "mp3", "ogg")
FOREIGN = ("wma", "sox", "m4a")


@dataclass(frozen=True)
class Sample:
    """``meta`` is the parsed JSON member. ``problem`` says why the sample cannot be used."""

    key: str
    shard: str
    sound: TarMember | None
    meta: Any = None
    problem: str | None = None


def shards(folder: Path, pattern: str) -> list[Path]:
    """Archives that match, sorted by name (X-ARES takes the file system's order, which is none). Raises
    :class:`InputError` where there is none."""
    found = sorted(folder.glob(pattern))
    if not found:
        raise InputError(
            f"holds no archive {pattern}",
            where=str(folder),
            fix=f"Fetch it with: otoscope data fetch xares/{folder.name}, or name the folder above it with data=.",
        )
    return found


def read_shard(path: Path) -> tuple[Sample, ...]:
    """Samples of one archive, in its order. Raises :class:`InputError` on an archive that cannot be read or in which a
    sample has two members of one name."""
    at = path.stat()
    return _read_shard(path, at.st_size, at.st_mtime_ns)


@lru_cache(maxsize=512)
def _read_shard(path: Path, size: int, mtime: int) -> tuple[Sample, ...]:
    return tuple(_samples(path))


def _samples(path: Path) -> Iterator[Sample]:
    key: str | None = None
    held: dict[str, tarfile.TarInfo] = {}
    seen: set[str] = set()
    try:
        with path.open("rb") as raw, tarfile.open(fileobj=raw, mode="r:") as tar:
            for member in tar:
                if not member.isfile():
                    continue
                stem, suffix = split_name(member.name)
                if stem != key:
                    if key is not None:
                        yield _sample(path, raw, key, held)
                    if stem in seen:
                        raise InputError(f"has two samples {stem!r}", where=str(path))
                    seen.add(stem)
                    key, held = stem, {}
                if suffix in held:
                    raise InputError(f"has two members {member.name!r}", where=str(path))
                held[suffix] = member
            if key is not None:
                yield _sample(path, raw, key, held)
    except (tarfile.TarError, OSError) as e:
        raise InputError(f"is not a readable tar: {e}", where=str(path), fix="Fetch it again.") from e


def split_name(name: str) -> tuple[str, str]:
    """``a/b.c.wav`` -> ``a/b``, ``c.wav``: the key of the sample and the name of the member in it."""
    folder, _, base = name.rpartition("/")
    stem, _, suffix = base.partition(".")
    return (f"{folder}/{stem}" if folder else stem), suffix.lower()


def _sample(path: Path, raw: Any, key: str, held: dict[str, tarfile.TarInfo]) -> Sample:
    kinds = [s for s in SOUNDS if s in held]
    if not kinds:
        strange = [s for s in FOREIGN if s in held]
        problem = f"its sound is {strange[0]}, which cannot be decoded here" if strange else "it has no sound"
        return Sample(key, path.name, None, problem=problem)
    member = held[kinds[0]]
    sound = TarMember(path, member.name, member.offset_data, member.size)
    if "json" not in held:
        return Sample(key, path.name, sound, problem="it has no json member, so no label")
    text = held["json"]
    raw.seek(text.offset_data)
    try:
        meta = json.loads(raw.read(text.size))
    except ValueError as e:
        return Sample(key, path.name, sound, problem=f"its json cannot be read: {e}")
    return Sample(key, path.name, sound, meta)
