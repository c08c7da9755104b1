"""Unpack a zip that somebody else made: every name is checked before anything is written.

Refused are absolute names, ``..``, drives, backslashes, links, encrypted members, and two members that are one file
where case is not told apart. Nothing outside the folder can be written, nothing that is there is overwritten, and a
member that holds more than it says is an error.
"""

from __future__ import annotations

import os
import shutil
import stat
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from otoscope.core.errors import InputError, StoreError

CHUNK = 2**20


def safe_name(name: str, where: str) -> PurePosixPath:
    """``name`` as a path below a folder. Raises :class:`InputError` on one that could lead elsewhere."""
    path = PurePosixPath(name)
    bad = not name or "\\" in name or "\0" in name or ":" in name or path.is_absolute()
    if bad or any(p in ("", ".", "..") for p in name.rstrip("/").split("/")):
        raise InputError(f"holds the unsafe name {name!r}", where=where, fix="Don't trust it; get it elsewhere.")
    return path


def unpack_zip(archive: Path, folder: Path, wanted: Callable[[str], bool] = lambda name: True) -> list[Path]:
    """Write the members whose base names are ``wanted`` into ``folder``, without the folders that the archive puts
    them in; returns their paths. One that is there with the same bytes is left.

    Raises :class:`InputError` on an archive that is damaged or unsafe, and :class:`StoreError` where the disk has not
    enough room.
    """
    where = str(archive)
    try:
        with zipfile.ZipFile(archive) as z:
            members = _checked(z, where)
            chosen = [(m, p) for m, p in members if wanted(p.name)]
            names = [p.name.casefold() for _, p in chosen]
            if twice := [n for n in names if names.count(n) > 1]:
                raise InputError(f"holds two files of the name {twice[0]!r}", where=where)
            folder.mkdir(parents=True, exist_ok=True)
            missing = [m for m, p in chosen if not (folder / p.name).exists()]
            need, free = sum(m.file_size for m in missing), shutil.disk_usage(folder).free
            if need > free:
                raise StoreError(f"needs {need} bytes, and {free} are free", where=str(folder))
            return [_write(z, m, folder / p.name, where) for m, p in chosen]
    except (zipfile.BadZipFile, EOFError, zlib.error, NotImplementedError) as e:
        raise InputError(f"is a damaged zip: {e}", where=where, fix="Delete it and fetch it again.") from e
    except OSError as e:
        raise StoreError(e.strerror or str(e), where=e.filename or str(folder)) from e


def _checked(z: zipfile.ZipFile, where: str) -> list[tuple[zipfile.ZipInfo, PurePosixPath]]:
    found = []
    for m in z.infolist():
        path = safe_name(m.orig_filename, where)
        kind = stat.S_IFMT(m.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise InputError(f"holds {m.orig_filename!r}, which is no plain file", where=where)
        if m.flag_bits & 1:
            raise InputError(f"holds the encrypted {m.orig_filename!r}", where=where)
        if not m.is_dir():
            found.append((m, path))
    return found


def _write(z: zipfile.ZipFile, m: zipfile.ZipInfo, path: Path, where: str) -> Path:
    if path.exists():
        if path.stat().st_size != m.file_size or _crc(path) != m.CRC:
            what = f"is not the {m.filename} of {where}"
            raise InputError(what, where=str(path), fix="Delete it, or name another folder.")
        return path
    part = path.with_name(f"{path.name}.part")
    with z.open(m) as source, part.open("wb") as f:
        left = m.file_size
        while block := source.read(CHUNK):
            left -= len(block)
            if left < 0:
                raise InputError(f"{m.filename} is longer than it says", where=where)
            f.write(block)
        if left:
            raise InputError(f"{m.filename} is shorter than it says", where=where)
        f.flush()
        os.fsync(f.fileno())
    os.replace(part, path)
    return path


def _crc(path: Path) -> int:
    found = 0
    with path.open("rb") as f:
        while block := f.read(CHUNK):
            found = zlib.crc32(block, found)
    return found
