"""Fetch the archives of X-ARES tasks from their Zenodo records, or from a mirror.

The record says which files there are, their sizes and checksums; what a task reads is fetched file by file, so that a
break costs no more than the file it was in. ``fetched.json`` in the task's folder keeps what the record said and a
sha256 of every archive: later calls check against it and need no network. Two tasks that share a record share files.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any

from otoscope.core.download import Patience, Remote, check, fetch, fetch_json
from otoscope.core.errors import InputError, UsageError
from otoscope.core.identity import file_digest
from otoscope.core.unpack import safe_name, unpack_zip
from otoscope.results.files import write_durably
from otoscope.tasks.probes.catalog import XaresTask

ZENODO = "https://zenodo.org"
RECORD = "fetched.json"

#: Called with a file's name, bytes that are there, and bytes in all.
Show = Callable[[str, int, "int | None"], None]


@dataclass(frozen=True)
class Archive:
    """One archive of a task as it lies there: ``sha256`` of its content, ``published`` the checksum that the record
    gives (None: it came in a zip, whose own checksums were right)."""

    name: str
    size: int
    sha256: str
    published: str | None


@dataclass(frozen=True)
class Fetched:
    """``new`` are the archives that came now, ``skipped`` files of the record that the task does not read."""

    folder: Path
    source: str
    archives: tuple[Archive, ...]
    new: tuple[str, ...]
    skipped: tuple[str, ...] = ()


def fetch_task(
    task: XaresTask,
    root: Path,
    *,
    source: str | None = None,
    show: Show = lambda *_: None,
    patience: Patience | None = None,
) -> Fetched:
    """Bring the archives of ``task`` to ``root/<name>/``.

    ``source``: a mirror (an address that stands for ``https://zenodo.org`` and answers under the same paths), or a zip
    with all files of the record, as a browser gets it there. Raises :class:`InputError` where a file is missing, wrong
    or refused, and :class:`StoreError` where it can't be written.
    """
    folder = root / task.name
    if source is None and (known := _recorded(folder)) is not None:
        return Fetched(folder, known["source"], _checked(folder, known["archives"]), ())
    if source is not None and not source.startswith(("http://", "https://")):
        return _from_zip(task, folder, Path(source).expanduser())
    base = (source or ZENODO).rstrip("/")
    about = fetch_json(f"{base}/api/records/{task.zenodo}", patience=patience)
    files = _files(about, base, task)
    needed = {n: r for n, r in files.items() if _reads(task, n)}
    zips = {} if needed else {n: r for n, r in files.items() if n.endswith(".zip")}
    new, found = [], []
    for name, remote in (needed or zips).items():
        path = folder / name
        if not path.exists():
            _from_sibling(root, task, path, remote)
        if fetch(remote, path, show=partial(show, name), patience=patience):
            new.append(name)
        inside = unpack_zip(path, folder, lambda n: _reads(task, n)) if zips else [path]
        published = None if zips else remote.checksum
        found += [_archive(p, published) for p in inside]
    skipped = tuple(sorted(set(files) - set(needed or zips)))
    return _finish(task, folder, f"{base}/records/{task.zenodo}", found, new, skipped)


def _from_zip(task: XaresTask, folder: Path, archive: Path) -> Fetched:
    if not archive.is_file():
        fix = "--from takes the address of a mirror (https://...), or a zip of the record."
        raise UsageError("there is no such file", where=str(archive), fix=fix)
    before = {p.name for p in folder.glob("*")}
    found = [_archive(p, None) for p in unpack_zip(archive, folder, lambda n: _reads(task, n))]
    new = [a.name for a in found if a.name not in before]
    return _finish(task, folder, archive.name, found, new, ())


def _finish(
    task: XaresTask,
    folder: Path,
    source: str,
    found: Sequence[Archive],
    new: Sequence[str],
    skipped: tuple[str, ...],
) -> Fetched:
    lacking = [p for p in task.parts.values() if not any(fnmatchcase(a.name, p) for a in found)]
    if lacking:
        there = ", ".join([a.name for a in found] + list(skipped)) or "nothing"
        raise InputError(f"holds no archive {lacking[0]} (there are: {there})", where=source)
    archives = tuple(sorted(found, key=lambda a: a.name))
    told = {
        "task": task.name,
        "record": task.zenodo,
        "source": source,
        "fetched": datetime.now(UTC).isoformat(timespec="seconds"),
        "archives": [asdict(a) for a in archives],
    }
    write_durably(folder / RECORD, (json.dumps(told, indent=1) + "\n").encode(), "fetched")
    return Fetched(folder, source, archives, tuple(new), skipped)


def _reads(task: XaresTask, name: str) -> bool:
    return any(fnmatchcase(name, p) for p in task.parts.values())


def _files(about: Any, base: str, task: XaresTask) -> dict[str, Remote]:
    where = f"{base}/api/records/{task.zenodo}"
    found = {}
    try:
        for f in about["files"]:
            name = str(f["key"])
            if len(safe_name(name, where).parts) != 1:
                raise InputError(f"names a file {name!r} in a folder", where=where)
            url = str(f.get("links", {}).get("self") or f"{where}/files/{name}/content")
            if url.startswith(ZENODO + "/"):
                url = base + url[len(ZENODO) :]
            found[name] = Remote(url, int(f["size"]), str(f["checksum"]))
    except (KeyError, TypeError, ValueError, AttributeError) as e:
        raise InputError(f"is no Zenodo record: {type(e).__name__}: {e}", where=where) from e
    return dict(sorted(found.items()))


def _archive(path: Path, published: str | None) -> Archive:
    return Archive(path.name, path.stat().st_size, file_digest(path), published)


def _recorded(folder: Path) -> Mapping[str, Any] | None:
    path = folder / RECORD
    if not path.is_file():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {"source": str(found["source"]), "archives": [Archive(**a) for a in found["archives"]]}
    except (ValueError, KeyError, TypeError) as e:
        raise InputError(f"is damaged: {e}", where=str(path), fix="Delete it and fetch again.") from e


def _checked(folder: Path, archives: Sequence[Archive]) -> tuple[Archive, ...]:
    for a in archives:
        path = folder / a.name
        if not path.is_file():
            fix = f"Delete {RECORD} there and fetch again: only this file is missing."
            raise InputError("was fetched and is gone", where=str(path), fix=fix)
        check(path, Remote("", a.size, f"sha256:{a.sha256}"))
    return tuple(archives)


def _from_sibling(root: Path, task: XaresTask, path: Path, remote: Remote) -> None:
    """Link the file where another task of the same record has it already (LibriSpeech serves two tasks)."""
    for record in sorted(root.glob(f"*/{RECORD}")):
        other = record.parent / path.name
        if record.parent == path.parent or not other.is_file():
            continue
        try:
            if json.loads(record.read_text(encoding="utf-8")).get("record") != task.zenodo:
                continue
            check(other, remote)
            path.parent.mkdir(parents=True, exist_ok=True)
            os.link(other, path)
        except (InputError, ValueError, OSError):  # damaged, or a file system without links: then it is fetched
            continue
        return
