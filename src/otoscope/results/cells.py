"""Cells: one task in one condition on one model under one intervention and seed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from typing import Any

import pyarrow as pa

from otoscope.results.schema import CELL_STATUSES, CELLS
from otoscope.results.shards import Extent


@dataclass(frozen=True)
class Cell:
    """A row of ``cells.parquet``. ``cell`` is the digest of ``identity`` (canonical JSON) and names the folder of its
    shards; ``alias`` is for people. The counts are of items over all rounds: ``n_items``
    planned, of which ``n_done`` were answered and ``n_failed`` failed so far."""

    cell: str
    alias: str
    task: str
    condition: str
    model: str
    intervention: str
    seed: int
    identity: str
    status: str = "planned"
    error: str | None = None
    extent: Extent = field(default_factory=Extent)
    n_items: int = 0
    n_done: int = 0
    n_failed: int = 0
    created: datetime | None = None
    updated: datetime | None = None

    def __post_init__(self) -> None:
        if not self.cell.isalnum():
            raise ValueError(f"a cell's digest names a folder and must be letters and digits, got {self.cell!r}")
        if self.status not in CELL_STATUSES:
            raise ValueError(f"cell status must be one of {', '.join(CELL_STATUSES)}, got {self.status!r}")

    def changed(self, **changes: Any) -> Cell:
        """This cell with other fields."""
        return replace(self, **changes)


def enlarged(known: Cell, wanted: Cell, now: datetime) -> Cell:
    """``known`` with each round that is larger in ``wanted``; it is then ``planned`` again. The rounds after one that
    grew are dropped, because they were planned from it."""
    for r, n in sorted(wanted.extent.items.items()):
        if n > known.extent.items.get(r, 0):
            rounds = [q for q in sorted(wanted.extent.items) if q >= r]
            extent = known.extent
            for q in rounds:
                extent = extent.with_round(q, wanted.extent.items[q], [k for k in wanted.extent.shards if k.round == q])
            return known.changed(extent=extent, status="planned", n_items=extent.n_items, updated=now)
    return known


def cells_table(cells: Iterable[Cell]) -> pa.Table:
    """Cells as a table of :data:`CELLS`."""
    records = [{f.name: getattr(c, f.name) for f in fields(Cell)} | {"extent": c.extent.to_json()} for c in cells]
    return pa.Table.from_pylist(records, schema=CELLS)


def cells_from(table: pa.Table) -> list[Cell]:
    return [Cell(**{**r, "extent": Extent.from_json(r["extent"])}) for r in table.to_pylist()]
