"""The run directory: append-only, self-contained, safe to share between workers.

::

    experiment.json                 format, schema version, one entry per run (versions, hardware, arguments)
    cells.parquet                   one row per cell
    items/<cell>/<shard>.a1.parquet rows; see shards.py for the names
    artefacts/<digest>              kept outputs and fitted things, content-addressed
    claims/                         lock files; may be deleted at any time no worker runs
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from otoscope.results.cells import Cell
from otoscope.results.shards import ShardKey

ShardState = Literal["missing", "done", "failures"]


class Results:
    """One run directory. Every method that reads or writes raises :class:`StoreError` with the path."""

    path: Path

    @classmethod
    def open(cls, path: str | Path, create: bool = False) -> Results:
        """Open a run directory; with ``create`` make it where there is none (or an empty folder), and sweep what
        killed writers left."""
        raise NotImplementedError

    # --- the experiment and its cells ---------------------------------------------------------------------------

    def experiment(self) -> dict[str, Any]:
        """The content of ``experiment.json``: ``{"format", "schema", "runs": [...]}``."""
        raise NotImplementedError

    def record_run(self, run: Mapping[str, Any]) -> None:
        """Append one entry to ``runs``."""
        raise NotImplementedError

    def cells(self) -> list[Cell]:
        """All cells, in the order they were registered."""
        raise NotImplementedError

    def cell(self, cell: str) -> Cell:
        raise NotImplementedError

    def register(self, cells: Iterable[Cell]) -> list[Cell]:
        """Add cells that are new; of known ones take over a round's extent where it is larger. Returns the stored cells,
        in the order given."""
        raise NotImplementedError

    def update_cell(self, cell: str, **changes: Any) -> Cell:
        """Replace fields (``status``, ``error``, ``extent``, ``n_items``, ``n_done``, ``n_failed``) of one cell."""
        raise NotImplementedError

    def update_cells(self, changes: Mapping[str, Mapping[str, Any]]) -> list[Cell]:
        """Many updates in one write: ``{cell: {field: value}}``."""
        raise NotImplementedError

    # --- shards ------------------------------------------------------------------------------------------------------

    def write_shard(self, cell: str, key: ShardKey, table: pa.Table) -> Path:
        """Write the next attempt of a shard (rows from ``schema.row_table``), durably."""
        raise NotImplementedError

    def shard_state(self, cell: str, key: ShardKey) -> ShardState:
        """From the footer alone: ``failures`` if any item failed."""
        raise NotImplementedError

    def read_shard(self, cell: str, key: ShardKey, columns: Sequence[str] | None = None) -> pa.Table | None:
        """The rows of the newest attempt, or None."""
        raise NotImplementedError

    @contextmanager
    def claim(self, cell: str, key: ShardKey) -> Iterator[bool]:
        """Whether this worker may have the shard; never waits. Only saves work: see the module."""
        raise NotImplementedError
        yield False

    def rows(
        self,
        cells: Iterable[str] | None = None,
        metrics: Iterable[str] | None = None,
        columns: Sequence[str] | None = None,
    ) -> pa.Table:
        """Current rows: of the named cells (default: all that are not superseded), newest attempt of each shard that the
        cell's extent lists, in cell and shard order. ``metrics`` always includes the rows of whole items (``"*"``)."""
        raise NotImplementedError

    def damaged(self) -> list[str]:
        """One sentence per file that cannot be read as it was written; [] means the directory is sound."""
        raise NotImplementedError

    def verify(self) -> None:
        """Raise :class:`StoreError` that lists everything :meth:`damaged` finds."""
        raise NotImplementedError

    def sweep(self) -> int:
        """Delete temporary files whose writer is dead; returns how many."""
        raise NotImplementedError

    # --- artefacts -----------------------------------------------------------------------------------------------------

    def put_artefact(self, content: bytes | Mapping[str, NDArray[Any] | np.generic]) -> str:
        """Store bytes or named arrays; returns the sha256 that names them."""
        raise NotImplementedError

    def get_artefact(self, digest: str) -> bytes:
        """The bytes; verified."""
        raise NotImplementedError

    def get_arrays(self, digest: str) -> dict[str, NDArray[Any]]:
        """The named arrays of an artefact that was stored as such; verified."""
        raise NotImplementedError
