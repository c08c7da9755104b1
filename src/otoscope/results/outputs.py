"""Outputs of models kept for other cells: named by what they were computed from.

``outputs/KEY`` of a run directory holds the digest of an artefact. The key is the caller's digest of everything the
output depends on, so whoever finds it need not compute it. It is a memory, not a record: what is missing (deleted, or
left behind by a merge) is computed again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from otoscope.core.errors import StoreError
from otoscope.results.artefacts import FIX
from otoscope.results.files import store_errors, write_durably
from otoscope.results.store import Results

_DIGEST = re.compile(r"[0-9a-f]{64}")


class KeptOutputs:
    """The ``outputs/`` folder of a run directory."""

    def __init__(self, store: Results) -> None:
        self._store = store
        self.folder = store.path / "outputs"

    def output(self, key: str) -> dict[str, NDArray[Any]] | None:
        """The arrays under ``key``, or None. Raises :class:`StoreError` where they are damaged."""
        path = self.folder / key
        if not path.is_file():
            return None
        with store_errors(path):
            digest = path.read_text(encoding="ascii", errors="replace")
        if not _DIGEST.fullmatch(digest):
            raise StoreError("is damaged (it holds no digest)", where=str(path), fix=FIX)
        if not (self._store.artefacts.folder / digest).is_file():
            return None
        return self._store.get_arrays(digest)

    def keep_output(self, key: str, arrays: Mapping[str, NDArray[Any]]) -> str:
        """Store ``arrays`` under ``key``; returns the digest of the artefact that holds them."""
        digest = self._store.put_artefact(arrays)
        path = self.folder / key
        with store_errors(path):
            self.folder.mkdir(exist_ok=True)
            known = path.is_file() and path.read_bytes() == digest.encode()
        if not known:
            write_durably(path, digest.encode(), "artefact")
        return digest
