"""The embedding store: what encoders gave, kept for every probe and every run on this machine.

::

    <folder>/<model>/about.json                  what the vectors were made by: the full identity, readable
    <folder>/<model>/<kk>/<key>.safetensors      what one batch of sounds gave

``model`` is a digest of the encoder (weights, code, precision) and of how it is looked at (channels, pooling); ``key``
is a digest of the sounds *as the network hears them* (decoded, resampled, cut, padded), in their order, and of the
layers asked for. So nothing that can change a number can be mistaken for something else, and nothing has to be told
when a data set changes. What is kept is of a batch and not of a sound: the last bits of a vector depend on what it was
computed together with, and a run must give the same numbers whatever was in the store before.

A file is written whole or not at all, holds a sha256 of each of its arrays and of its own header, and is read through
a memory map: of a file of all layers only those asked for are read. The store is a memory, not a record: any file may
be deleted at any time, and is made again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import NDArray

from otoscope.core.cache import cache_folder
from otoscope.core.errors import StoreError, UsageError
from otoscope.core.identity import canonical, digest
from otoscope.results.files import store_errors, write_durably

FORMAT = 1
#: A folder, or ``off``.
VARIABLE = "OTOSCOPE_EMBEDDINGS"
OFF = "off"

Arrays = dict[str, NDArray[Any]]


class Damaged(Exception):
    """A file of the store is not as it was written."""


def embeddings_folder(told: str | None = None) -> Path | None:
    """Where embeddings are kept: ``told``, else ``$OTOSCOPE_EMBEDDINGS``, else a folder of the cache; None for off."""
    name = told or os.environ.get(VARIABLE) or str(cache_folder() / "embeddings")
    return None if name == OFF else Path(name).expanduser()


@dataclass(frozen=True)
class Holding:
    """What is kept of one model: ``name`` (of its card), files, sounds, bytes, and the files that are damaged (looked
    for only where asked)."""

    model: str
    name: str
    identity: Mapping[str, Any]
    n_files: int
    n_sounds: int
    n_bytes: int
    damaged: tuple[str, ...] = ()


class Bank:
    """What is kept of one model; made by :meth:`EmbeddingStore.bank`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.safetensors"

    def read(self, key: str, wanted: Callable[[str], bool] = lambda name: True) -> tuple[Arrays, Any] | None:
        """Arrays whose names are ``wanted``, and what was told about them; None where there is nothing.

        Raises :class:`Damaged` on a file that is not as it was written, :class:`StoreError` on one that cannot be read.
        """
        path = self.path(key)
        with _advised(path):
            if not path.is_file():
                return None
            try:
                with safetensors.safe_open(path, framework="np") as f:
                    meta = _meta(f.metadata(), key)
                    arrays = {name: f.get_tensor(name) for name in list(f.keys()) if wanted(name)}
            except (safetensors.SafetensorError, ValueError, KeyError, TypeError) as e:
                raise Damaged(f"{path}: {' '.join(str(e).split())}") from e
        for name, a in arrays.items():
            if _sha(a) != meta["sha256"].get(name):
                raise Damaged(f"{path}: {name} does not match its digest")
        return arrays, meta["about"]

    def write(self, key: str, arrays: Mapping[str, NDArray[Any]], about: Any) -> None:
        """Keep ``arrays`` under ``key``, durably; ``about`` is plain JSON."""
        dense = {name: np.ascontiguousarray(a) for name, a in sorted(arrays.items())}
        meta = {"format": FORMAT, "key": key, "about": about, "sha256": {n: _sha(a) for n, a in dense.items()}}
        text = canonical(meta)
        data: bytes = safetensors.numpy.save(dense, {"otoscope": text, "digest": _text_sha(text)})
        path = self.path(key)
        with _advised(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_durably(path, data, "artefact")

    def entries(self) -> Iterator[str]:
        """Keys, sorted."""
        yield from sorted(p.stem for p in self.folder.glob("??/*.safetensors"))


class EmbeddingStore:
    """The folder; it need not exist yet."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def bank(self, name: str, identity: Mapping[str, Any]) -> Bank:
        """Where what ``identity`` (JSON: the encoder and its preprocessing) gives is kept. ``name`` is for people."""
        folder = self.folder / digest(identity, 32)
        about = folder / "about.json"
        with _advised(about):
            if not about.is_file():
                folder.mkdir(parents=True, exist_ok=True)
                text = json.dumps({"format": FORMAT, "name": name, "identity": identity}, indent=1, default=str)
                write_durably(about, text.encode("utf-8"), "artefact")
        return Bank(folder)

    def holdings(self, verify: bool = False) -> list[Holding]:
        """What is there, by name. ``verify`` reads everything."""
        found = []
        for about in sorted(self.folder.glob("*/about.json")) if self.folder.is_dir() else []:
            with _advised(about):
                try:
                    told = json.loads(about.read_bytes())
                    name, identity = str(told["name"]), dict(told["identity"])
                except (ValueError, KeyError, TypeError) as e:
                    fix = f"Delete the folder {about.parent}."
                    raise StoreError(f"is damaged: {e}", where=str(about), fix=fix) from e
            found.append(_holding(Bank(about.parent), name, identity, verify))
        return sorted(found, key=lambda h: (h.name, h.model))


def _holding(bank: Bank, name: str, identity: Mapping[str, Any], verify: bool) -> Holding:
    n_files = n_sounds = n_bytes = 0
    damaged = []
    for key in bank.entries():
        n_files += 1
        n_bytes += bank.path(key).stat().st_size
        try:
            found = bank.read(key, lambda name: verify)
            n_sounds += len(found[1]["sounds"]) if found else 0
        except Damaged as e:
            damaged.append(str(e))
    return Holding(bank.folder.name, name, identity, n_files, n_sounds, n_bytes, tuple(damaged))


def _meta(found: Mapping[str, str] | None, key: str) -> dict[str, Any]:
    text = (found or {}).get("otoscope", "")
    if not text or _text_sha(text) != (found or {}).get("digest"):
        raise ValueError("the header does not match its digest")
    meta: dict[str, Any] = json.loads(text)
    if meta["format"] != FORMAT or meta["key"] != key:
        raise ValueError(f"it holds {meta['key']} in format {meta['format']}")
    return meta


def _sha(a: NDArray[Any]) -> str:
    return hashlib.sha256(f"{a.dtype.str}{a.shape}".encode() + a.tobytes()).hexdigest()


def _text_sha(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


@contextmanager
def _advised(path: Path) -> Iterator[None]:
    """Errors of the file system, with the way round the store."""
    try:
        with store_errors(path):
            yield
    except StoreError as e:
        advice = "Name another folder with --embeddings, or do without one: --embeddings off."
        raise StoreError(e.what, where=e.where, fix=f"{e.fix} {advice}" if e.fix else advice) from e


def checked_folder(told: str | None = None) -> Path | None:
    """:func:`embeddings_folder`, refusing a file. Raises :class:`UsageError`."""
    folder = embeddings_folder(told)
    if folder is not None and folder.exists() and not folder.is_dir():
        raise UsageError("is no folder", where=str(folder), fix="Name a folder for embeddings, or off.")
    return folder
