"""Embeddings that were computed elsewhere, as an encoder: rows of a matrix, found by the sound they belong to.

``embeddings:path=E.npy,manifest=FOLDER/manifest.jsonl``: the manifest comes from ``otoscope data export``, row ``i`` of
the matrix belongs to its line ``i``. ``.npy`` holds ``[n, D]``; a Parquet file has one column per dimension, or one
list column. A sound that is not in the manifest is an error, never a guess.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otoscope.core.audio import Audio
from otoscope.core.errors import InputError, ModelError, UsageError
from otoscope.core.identity import file_digest
from otoscope.core.nouns import Card, Encoded, Layer
from otoscope.models.shown import ShownModel


class ImportedEmbeddings(ShownModel):
    """See the module. Raises :class:`ModelError` where matrix and manifest do not fit."""

    version = 1

    def __init__(self, path: str = "", manifest: str = "") -> None:
        if not path or not manifest:
            raise UsageError(
                "embeddings needs path= and manifest=",
                fix="Write embeddings:path=E.npy,manifest=FOLDER/manifest.jsonl.",
            )
        self.path, self.manifest = Path(str(path)).expanduser(), Path(str(manifest)).expanduser()
        self._lines = _read_manifest(self.manifest)
        self._matrix: NDArray[np.float32] | None = None
        self._rows: dict[str, int] = {}

    @property
    def card(self) -> Card:
        return Card(
            name="embeddings",
            capability="encoder",
            summary=f"embeddings computed elsewhere, {self.path.name}",
            rate=int(self._lines[0]["rate"]),
            channels=int(self._lines[0]["channels"]),
            notes=("a second pass returns the same row, so the numeric floor is rounding only",),
        )

    def identity(self) -> Mapping[str, Any]:
        if not self.path.is_file():
            raise ModelError("no such file", where=str(self.path), fix="Save the embeddings there, one row per line.")
        return {
            "class": "embeddings",
            "version": self.version,
            "matrix": file_digest(self.path),
            "manifest": file_digest(self.manifest),
        }

    def load(self) -> None:
        if self._matrix is not None:
            return
        matrix = _read_matrix(self.path)
        if len(matrix) != len(self._lines):
            raise ModelError(
                f"has {len(matrix)} rows and the manifest {len(self._lines)} lines",
                where=str(self.path),
                fix="Row i must hold the embedding of line i.",
            )
        if not np.isfinite(matrix).all():
            bad = int(np.flatnonzero(~np.isfinite(matrix).all(axis=1))[0])
            raise ModelError(f"row {bad} holds NaN or infinite values", where=str(self.path))
        self._rows = {str(line["sha256_samples"]): i for i, line in enumerate(self._lines)}
        self._matrix = matrix

    def encode(self, audio: Sequence[Audio], layers: Sequence[Layer] | None = None) -> list[Encoded]:
        """One frame ``[1, 1, D]`` per sound."""
        self.load()
        assert self._matrix is not None
        found = []
        for sound in audio:
            row = self._rows.get(sound.digest())
            if row is None:
                raise InputError(
                    "a sound of this experiment is not in the manifest",
                    where=str(self.manifest),
                    fix="Export the stimuli with the same tasks, conditions, seed and rate.",
                )
            frames = self._matrix[row][None, None, :]
            found.append(Encoded(dict.fromkeys(layers or ("last",), frames), None))
        return found


def _read_manifest(path: Path) -> list[dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as e:
        raise InputError(f"cannot be read: {e}", where=str(path), fix="Make one with: otoscope data export") from e
    lines = []
    for i, line in enumerate(text.splitlines(), 1):
        try:
            entry = json.loads(line)
            lines.append({k: entry[k] for k in ("sha256_samples", "rate", "channels")})
        except (json.JSONDecodeError, KeyError, TypeError) as e:
            raise InputError(f"line {i} is not a line of exported stimuli: {e!r}", where=str(path)) from e
    if not lines:
        raise InputError("is empty", where=str(path))
    return lines


def _read_matrix(path: Path) -> NDArray[np.float32]:
    try:
        if path.suffix == ".npy":
            x = np.load(path, allow_pickle=False)
        elif path.suffix == ".parquet":
            import pyarrow.parquet as pq

            table = pq.read_table(path)
            columns = [c.to_pylist() for c in table.columns]
            x = np.array(columns[0]) if len(columns) == 1 and isinstance(columns[0][0], list) else np.array(columns).T
        else:
            raise UsageError("is neither .npy nor .parquet", where=str(path))
    except (OSError, ValueError, IndexError) as e:
        raise ModelError(f"cannot be read as a matrix: {e}", where=str(path)) from e
    if x.ndim != 2 or not np.issubdtype(x.dtype, np.number):
        raise ModelError(f"must hold numbers [n, D], got {x.dtype} {x.shape}", where=str(path))
    return np.ascontiguousarray(x, dtype=np.float32)
