"""A corpus is a folder of sound files and a ``manifest.jsonl`` that says what they are.

One JSON object a line: ``path`` (relative to the manifest), ``duration_s``, ``sample_rate``, ``channels``, ``sha256``,
``labels`` (an object), ``group`` (what a split must keep whole: speaker, recording), ``license``, ``attribution``,
``source``, and optionally ``corpus``. Folders without a manifest are described by :func:`scan_folder`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from otoscope.audio import io
from otoscope.core.errors import InputError, UsageError
from otoscope.core.identity import file_digest

SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")
_REQUIRED = ("path", "duration_s", "sample_rate", "channels", "sha256")


@dataclass(frozen=True)
class Clip:
    """One sound file. ``path`` is where it lies; ``name`` is its path inside the corpus, with ``/``, the part that
    may enter an identity. ``rate`` is in Hz."""

    path: Path
    name: str
    duration_s: float
    rate: int
    channels: int
    sha256: str
    labels: Mapping[str, Any] = field(default_factory=dict, hash=False)
    group: str = ""
    license: str = ""
    attribution: str = ""
    source: str = ""
    corpus: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", MappingProxyType(dict(self.labels)))

    def __reduce__(self) -> tuple[object, ...]:  # a mapping proxy does not pickle
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return _clip, ({**fields, "labels": dict(self.labels)},)


def _clip(fields: dict[str, Any]) -> Clip:
    return Clip(**fields)


@dataclass(frozen=True)
class Scan:
    """What :func:`scan_folder` found: usable clips, and ``(path, why)`` of every file that could not be read."""

    clips: tuple[Clip, ...]
    unreadable: tuple[tuple[Path, str], ...]


def read_manifest(path: str | os.PathLike[str]) -> tuple[Clip, ...]:
    """The clips of a ``manifest.jsonl`` (or of the folder that holds one), in its order.

    The files themselves are not opened: see :func:`verify`. Raises :class:`InputError` naming the line that is not
    JSON, lacks a key, has a value of the wrong kind, an absolute path, or a path that an earlier line has.
    """
    path = Path(path)
    if path.is_dir():
        path = path / "manifest.jsonl"
    if not path.is_file():
        raise InputError("no such manifest", where=str(path), fix="Name a manifest.jsonl, or scan the folder.")
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as e:
        raise InputError(f"is not UTF-8 text: {e}", where=str(path)) from e
    clips: list[Clip] = []
    seen: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        clip = _parse(line, path.parent, where)
        if clip.name in seen:
            raise InputError(f"{clip.name} is listed already, in line {seen[clip.name]}", where=where)
        seen[clip.name] = number
        clips.append(clip)
    if not clips:
        raise InputError("lists no sound files", where=str(path))
    return tuple(clips)


def _parse(line: str, folder: Path, where: str) -> Clip:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as e:
        raise InputError(f"is not JSON: {e.msg}", where=where) from e
    if not isinstance(row, dict):
        raise InputError(f"is a {type(row).__name__}, not an object", where=where)
    missing = [key for key in _REQUIRED if key not in row]
    if missing:
        raise InputError(f"lacks {', '.join(missing)}", where=where)
    _expect(row, where, str, "path", "sha256", "group", "license", "attribution", "source", "corpus")
    _expect(row, where, int, "sample_rate", "channels")
    _expect(row, where, int | float, "duration_s")
    _expect(row, where, dict, "labels")
    if not row["path"] or Path(row["path"]).is_absolute():
        raise InputError(f"path {row['path']!r} is not relative to the manifest", where=where)
    if min(row["sample_rate"], row["channels"], row["duration_s"]) <= 0:
        raise InputError("duration_s, sample_rate and channels must be positive", where=where)
    return Clip(
        path=folder / row["path"],
        name=row["path"],
        duration_s=float(row["duration_s"]),
        rate=row["sample_rate"],
        channels=row["channels"],
        sha256=row["sha256"],
        labels=row.get("labels", {}),
        group=row.get("group", ""),
        license=row.get("license", ""),
        attribution=row.get("attribution", ""),
        source=row.get("source", ""),
        corpus=row.get("corpus", ""),
    )


def _expect(row: dict[str, Any], where: str, kind: Any, *keys: str) -> None:
    for key in keys:
        if key in row and (not isinstance(row[key], kind) or isinstance(row[key], bool)):
            raise InputError(f"{key} has a value of the wrong kind: {row[key]!r}", where=where)


def write_manifest(path: str | os.PathLike[str], clips: Iterable[Clip]) -> None:
    """Write ``clips`` as a manifest that :func:`read_manifest` reads back; paths become relative to it."""
    path = Path(path)
    lines = []
    for clip in clips:
        name = Path(os.path.relpath(clip.path, path.parent)).as_posix()
        row = {
            "path": name,
            "corpus": clip.corpus,
            "duration_s": clip.duration_s,
            "sample_rate": clip.rate,
            "channels": clip.channels,
            "sha256": clip.sha256,
            "labels": dict(clip.labels),
            "group": clip.group,
            "license": clip.license,
            "attribution": clip.attribution,
            "source": clip.source,
        }
        lines.append(json.dumps(row, ensure_ascii=False))
    part = path.with_name(path.name + ".tmp")
    part.write_text("\n".join(lines) + "\n", encoding="utf-8")
    os.replace(part, path)


def scan_folder(
    folder: str | os.PathLike[str],
    *,
    group_by: Literal["file", "parent"] = "file",
    on_unreadable: Literal["raise", "report"] = "raise",
    decode: bool = False,
) -> Scan:
    """Describe every sound file under ``folder`` (.wav .flac .ogg .mp3, hidden names aside), sorted by path.

    The group of a clip is its path without suffix (``file``) or the folder it lies in (``parent``), both relative to
    ``folder``; there are no labels. A file that cannot be read raises :class:`InputError` or, with ``report``, is
    listed in ``unreadable`` with the reason. ``decode`` also decodes every file, which finds damage behind the header.
    Raises :class:`InputError` on a folder that is missing or holds no sound file.
    """
    if group_by not in ("file", "parent"):
        raise UsageError(f"group_by is 'file' or 'parent', got {group_by!r}")
    if on_unreadable not in ("raise", "report"):
        raise UsageError(f"on_unreadable is 'raise' or 'report', got {on_unreadable!r}")
    root = Path(folder)
    names = sound_files(root)
    clips: list[Clip] = []
    unreadable: list[tuple[Path, str]] = []
    for name in names:
        path = root / name
        try:
            head = io.info(path)
            if decode:
                io.read(path)
        except InputError as e:
            if on_unreadable == "raise":
                raise
            unreadable.append((path, e.what))
            continue
        group = Path(name).with_suffix("").as_posix() if group_by == "file" else Path(name).parent.as_posix()
        clips.append(
            Clip(
                path, name, head.duration_s, head.rate, head.channels, file_digest(path), group=group, corpus=root.name
            )
        )
    return Scan(tuple(clips), tuple(unreadable))


def sound_files(root: Path) -> list[str]:
    """Paths of every sound file under ``root``, relative to it, sorted; hidden names aside. Raises :class:`InputError`
    on a folder that is missing or holds none."""
    if not root.is_dir():
        raise InputError("no such folder", where=str(root))
    names = sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if _is_sound(p, root))
    if not names:
        raise InputError(f"holds no sound file ({' '.join(SUFFIXES)})", where=str(root))
    return names


def _is_sound(path: Path, root: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
    return path.suffix.lower() in SUFFIXES and not hidden and path.is_file()


def verify(clips: Sequence[Clip]) -> None:
    """Compare every file with its sha256; one :class:`InputError` names all that are missing or changed."""
    wrong = []
    for clip in clips:
        if not clip.path.is_file():
            wrong.append(f"{clip.name} is missing")
        elif file_digest(clip.path) != clip.sha256:
            wrong.append(f"{clip.name} has changed")
    if wrong:
        raise InputError(
            f"{len(wrong)} of {len(clips)} files differ from the manifest: {'; '.join(wrong)}",
            where=str(clips[0].path.parent),
            fix="Restore the files, or make a new manifest.",
        )
