"""Durable files: whole or not there, whatever kills the writer.

Bytes go to a temporary file in the same folder, are synced, renamed over the name, and the folder is synced. Two
writers of one name are safe: each has its own temporary file and the rename is atomic. The writer holds a lock on its
temporary file, so a leftover is recognised (nobody holds it) and can be deleted while other writers work.
"""

from __future__ import annotations

import errno
import os
import re
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from otoscope.core.errors import StoreError
from otoscope.core.faults import point

try:
    import fcntl
except ImportError:  # no advisory locks here: leftovers are recognised by age alone
    fcntl = None  # type: ignore[assignment]

_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{32}\.tmp")
_STALE_S = 24 * 3600.0
_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}
_DENIED = {errno.EACCES, errno.EPERM, errno.EROFS}


@contextmanager
def store_errors(path: Path) -> Iterator[None]:
    """Turn an :class:`OSError` inside the block into a :class:`StoreError` about ``path``."""
    try:
        yield
    except OSError as e:
        where = str(path if e.filename is None or is_temporary(Path(e.filename).name) else e.filename)
        if e.errno in _FULL:
            raise StoreError(
                "the disk is full",
                where=where,
                fix="Free some space and run the same command again; what was finished is kept.",
            ) from e
        if e.errno in _DENIED:
            raise StoreError("permission denied", where=where, fix="Check who owns the directory and its mode.") from e
        raise StoreError(e.strerror or str(e), where=where) from e


def write_durably(path: Path, data: bytes, what: str) -> None:
    """Write ``data`` to ``path`` atomically and durably. ``what`` names the fault points (``store.<what>.*``)."""
    with store_errors(path):
        temporary, fd = _temporary(path)
        try:
            half = len(data) // 2
            _write_all(fd, data[:half])
            point(f"store.{what}.half-written")
            _write_all(fd, data[half:])
            point(f"store.{what}.before-fsync")
            os.fsync(fd)
            point(f"store.{what}.before-rename")
            if fcntl is None:  # where open files cannot be renamed
                os.close(fd)
                fd = -1
            os.replace(temporary, path)
            point(f"store.{what}.before-dir-fsync")
            sync_folder(path.parent)
        except BaseException:
            with suppress(FileNotFoundError):
                temporary.unlink()
            raise
        finally:
            if fd >= 0:
                os.close(fd)


def _temporary(path: Path) -> tuple[Path, int]:
    """A new locked temporary file beside ``path``."""
    while True:
        temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
        if fcntl is None:
            return temporary, fd
        fcntl.flock(fd, fcntl.LOCK_EX)
        if os.fstat(fd).st_nlink:  # else a sweeper came between creation and lock
            return temporary, fd
        os.close(fd)


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def sync_folder(folder: Path) -> None:
    """Make renames and deletions in ``folder`` durable (where the system can)."""
    if os.name == "nt":
        return
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def is_temporary(name: str) -> bool:
    return _TEMPORARY.fullmatch(name) is not None


def sweep_temporaries(folder: Path) -> int:
    """Delete the temporary files of ``folder`` whose writer is gone; returns how many. A folder that cannot be written
    is left alone: its leftovers do no harm."""
    swept = 0
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if is_temporary(path.name):
            with suppress(FileNotFoundError, PermissionError):
                swept += _sweep(path)
    return swept


def _sweep(path: Path) -> bool:
    if fcntl is None:
        if time.time() - path.stat().st_mtime < _STALE_S:
            return False
        path.unlink()
        return True
    fd = os.open(path, os.O_WRONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink()  # of a file renamed since it was opened, this name is gone: nothing to do
        return True
    except BlockingIOError:
        return False
    finally:
        os.close(fd)
