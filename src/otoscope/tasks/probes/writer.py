"""Write archives as X-ARES packs them: tars of one sound and one ``json`` a sample, in shards.

``pack`` follows its packing function: dots of a stem become underscores, a plain text label is stored as
``{"label": ...}``, shards hold equal runs of the list and are numbered ``0NNNNN``; files under 100 bytes are left out,
and named. Members carry no time and no owner, so equal content gives equal bytes (ours). Fact sheet, section 4.1.
"""

from __future__ import annotations

import io
import json
import math
import tarfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from otoscope.core.errors import InputError

#: Files with fewer bytes are left out.
MIN_BYTES = 100
SHARDS = 20


@dataclass(frozen=True)
class Packed:
    """Archives written, and files left out because they hold almost nothing."""

    archives: tuple[Path, ...]
    left_out: tuple[Path, ...] = ()


def write_tar(path: Path, samples: Iterable[tuple[str, str, bytes, Any]]) -> None:
    """Samples are ``(key, suffix, sound, meta)``. Raises :class:`InputError` on a key with a dot: readers would cut it
    there."""
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for key, suffix, sound, meta in samples:
            if "." in key.rpartition("/")[2]:
                raise InputError(f"the key {key!r} holds a dot, at which it would be cut", where=str(path))
            _add(tar, f"{key}.{suffix}", sound)
            if meta is not None:
                _add(tar, f"{key}.json", json.dumps(meta).encode("utf-8"))


def pack(paths: Sequence[Path], labels: Sequence[Any], pattern: Path, n_shards: int = SHARDS) -> Packed:
    """Files and their labels (text, or an object) into ``n_shards`` archives; ``*`` of ``pattern`` is the number.

    Raises :class:`InputError` where there are fewer files than shards.
    """
    if len(paths) != len(labels):
        raise InputError(f"{len(paths)} files and {len(labels)} labels")
    if len(paths) < n_shards:
        raise InputError(f"{len(paths)} files cannot fill {n_shards} archives", fix="Ask for fewer.")
    size = math.ceil(len(paths) / n_shards)
    left_out = tuple(p for p in paths if p.stat().st_size < MIN_BYTES)
    made = []
    for shard in range(n_shards):
        own = list(zip(paths, labels, strict=True))[shard * size : (shard + 1) * size]
        path = pattern.with_name(pattern.name.replace("*", f"0{shard:05d}"))
        write_tar(path, (_packed(p, label) for p, label in own if p not in left_out))
        made.append(path)
    return Packed(tuple(made), left_out)


def _packed(path: Path, label: Any) -> tuple[str, str, bytes, Any]:
    meta = {"label": label} if isinstance(label, str) else label
    return path.stem.replace(".", "_"), path.suffix.removeprefix("."), path.read_bytes(), meta


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(data), 0o444
    tar.addfile(member, io.BytesIO(data))
