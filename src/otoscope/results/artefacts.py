"""Artefacts: kept outputs and fitted things, named by the sha256 of their bytes. Arrays are stored as safetensors."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import NDArray

from otoscope.core.errors import InputError, StoreError
from otoscope.results.files import store_errors, write_durably

FIX = "Delete the file and run the same command again."
_DIGEST = re.compile(r"[0-9a-f]{64}")


def pack(arrays: Mapping[str, Any]) -> bytes:
    """Named arrays as bytes; equal arrays give equal bytes. Raises :class:`InputError` on text and objects."""
    dense = {name: np.ascontiguousarray(a) if np.ndim(a) else np.asarray(a) for name, a in sorted(arrays.items())}
    for name, a in dense.items():
        if a.dtype.kind not in "biuf":
            raise InputError(
                f"array {name!r} has type {a.dtype}, which cannot be stored", fix="Use numbers or truth values."
            )
    data: bytes = safetensors.numpy.save(dense)
    return data


class Artefacts:
    """The ``artefacts/`` folder of a run directory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, data: bytes) -> str:
        """Store ``data`` unless it is there, sound, already; returns its digest."""
        digest = hashlib.sha256(data).hexdigest()
        path = self.folder / digest
        with store_errors(path):
            self.folder.mkdir(exist_ok=True)
            known = path.is_file() and path.read_bytes() == data
        if not known:
            write_durably(path, data, "artefact")
        return digest

    def get(self, digest: str) -> bytes:
        """The bytes. Raises :class:`StoreError` if they are missing or are not what ``digest`` names."""
        path = self.folder / digest
        if not _DIGEST.fullmatch(digest) or not path.is_file():
            raise StoreError("there is no such artefact", where=str(path), fix="Run the same command again.")
        with store_errors(path):
            data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() != digest:
            raise StoreError("is damaged (its content does not match its name)", where=str(path), fix=FIX)
        return data

    def arrays(self, digest: str) -> dict[str, NDArray[Any]]:
        """The named arrays. Raises :class:`StoreError` also where the artefact holds no arrays."""
        data = self.get(digest)
        try:
            found: dict[str, NDArray[Any]] = safetensors.numpy.load(data)
        except safetensors.SafetensorError as e:
            raise StoreError("holds bytes, not named arrays", where=str(self.folder / digest)) from e
        return found

    def __iter__(self) -> Iterator[str]:
        """Digests, sorted."""
        if self.folder.is_dir():
            yield from sorted(p.name for p in self.folder.iterdir() if _DIGEST.fullmatch(p.name))
