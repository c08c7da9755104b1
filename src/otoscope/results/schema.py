"""The columns of a run directory, and how rows are made and checked.

One row per (item, factors, metric). A row always says how it came about in ``status``:

============ =========== =================================================================================
status       value       meaning
============ =========== =================================================================================
``ok``       finite      a value
``undefined`` null       the metric does not exist for this item (0/0, a silent stem); ``note`` says why
``unparsed`` finite      the answer could not be read; the value is what a wrong answer gets
``failed``   null        the model or the task raised; ``note`` holds the error
============ =========== =================================================================================

Metric ``"*"`` (:data:`WHOLE_ITEM`) stands for every metric of an item: a failed item is one failed row under it, and an
item that gives no value yet (its kept output is read later) is one ``ok`` row under it with a null value. So every
item of a shard has a row, and a reader that selects metrics always gets these rows too.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from otoscope.core.errors import InputError
from otoscope.core.identity import canonical
from otoscope.core.items import Factor, Item
from otoscope.core.nouns import Row

SCHEMA_VERSION = 2

#: The metric of rows that speak for the whole item.
WHOLE_ITEM = "*"
STATUSES = ("ok", "undefined", "unparsed", "failed")
CELL_STATUSES = ("planned", "running", "done", "failed", "superseded")

_WORD = pa.dictionary(pa.int32(), pa.string())  # few distinct values, many rows

ROWS = pa.schema(
    [
        pa.field("cell", _WORD, nullable=False),
        pa.field("round", pa.int32(), nullable=False),
        pa.field("shard", pa.int32(), nullable=False),
        pa.field("item", pa.string(), nullable=False),
        pa.field("base_id", pa.string(), nullable=False),
        pa.field("group", _WORD, nullable=False),
        pa.field("metric", _WORD, nullable=False),
        pa.field("value", pa.float64()),
        pa.field("factors", _WORD, nullable=False),
        pa.field("raw", pa.string()),
        pa.field("status", _WORD, nullable=False),
        pa.field("note", pa.string()),
        pa.field("output", pa.string()),
        pa.field("seconds_render", pa.float64()),
        pa.field("seconds_model", pa.float64()),
        pa.field("peak_bytes", pa.int64()),
        pa.field("tokens_in", pa.int64()),
        pa.field("tokens_kept", pa.int64()),
        pa.field("in_training", pa.bool_(), nullable=False),  # the model was trained on a recording of the item
    ]
)

CELLS = pa.schema(
    [
        pa.field("cell", pa.string(), nullable=False),
        pa.field("alias", pa.string(), nullable=False),
        pa.field("task", pa.string(), nullable=False),
        pa.field("condition", pa.string(), nullable=False),
        pa.field("model", pa.string(), nullable=False),
        pa.field("intervention", pa.string(), nullable=False),
        pa.field("seed", pa.int64(), nullable=False),
        pa.field("identity", pa.string(), nullable=False),
        pa.field("status", pa.string(), nullable=False),
        pa.field("error", pa.string()),
        pa.field("extent", pa.string(), nullable=False),
        pa.field("n_items", pa.int64(), nullable=False),
        pa.field("n_done", pa.int64(), nullable=False),
        pa.field("n_failed", pa.int64(), nullable=False),
        pa.field("created", pa.timestamp("us", tz="UTC")),
        pa.field("updated", pa.timestamp("us", tz="UTC")),
    ]
)

SCHEMAS = {"rows": ROWS, "cells": CELLS}


@dataclass(frozen=True)
class Cost:
    """What an item cost. Recorded, never part of any equality. None: not measured."""

    seconds_render: float | None = None
    seconds_model: float | None = None
    peak_bytes: int | None = None
    tokens_in: int | None = None
    tokens_kept: int | None = None


#: Columns that may differ between two runs of the same thing.
COST_COLUMNS = tuple(Cost.__dataclass_fields__)


def item_records(
    item: Item, rows: Sequence[Row], *, cost: Cost = Cost(), output: str | None = None
) -> list[dict[str, Any]]:
    """The records of one item that was answered. A row's factors are the item's and its own (its own win). Without
    rows: one :data:`WHOLE_ITEM` record. ``output`` is the digest of a kept output."""
    rows = rows or [Row(WHOLE_ITEM, None)]
    shared = {"item": item.id, "base_id": item.base_id, "group": item.group, "output": output, **asdict(cost)}
    return [
        {
            **shared,
            "metric": row.metric,
            "value": row.value,
            "factors": {**item.factors, **row.factors},
            "raw": row.raw,
            "status": row.status,
            "note": row.note,
        }
        for row in rows
    ]


def failure_records(item: Item, error: str, *, cost: Cost = Cost()) -> list[dict[str, Any]]:
    """The one record of an item that failed: ``error`` says how."""
    return item_records(item, [Row(WHOLE_ITEM, None, status="failed", note=error)], cost=cost)


def row_table(cell: str, round: int, shard: int, records: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Records (of :func:`item_records`) as a checked table of :data:`ROWS`."""
    records = list(records)
    text = _FactorTexts()
    columns: dict[str, Any] = {
        "cell": [cell] * len(records),
        "round": [round] * len(records),
        "shard": [shard] * len(records),
    }
    columns["factors"] = [text(r["factors"]) for r in records]
    columns["in_training"] = [bool(r.get("in_training")) for r in records]
    for f in ROWS:
        if f.name not in columns:
            columns[f.name] = [r.get(f.name) for r in records]
    table = pa.table([pa.array(columns[f.name], type=f.type) for f in ROWS], schema=ROWS)
    check_rows(table)
    return table


class _FactorTexts:
    """Canonical JSON of factors, remembered: many rows share few mappings."""

    def __init__(self) -> None:
        self.known: dict[Any, str] = {}

    def __call__(self, factors: Mapping[str, Factor]) -> str:
        key = tuple((k, type(v), v) for k, v in factors.items())  # the type keeps 1, 1.0 and True apart
        if key not in self.known:
            for name, value in factors.items():
                if not isinstance(value, str | int | float | bool | np.generic):
                    raise InputError(f"factor {name!r} must be text, a number or a truth value, got {value!r}")
                if isinstance(value, float | np.floating) and not math.isfinite(value):
                    raise InputError(f"factor {name!r} must be finite, got {value!r}")
            self.known[key] = canonical(dict(factors))
        return self.known[key]


def check_rows(table: pa.Table) -> None:
    """Raise :class:`InputError` unless ``table`` is what the store may hold (see the module)."""
    if not table.schema.equals(ROWS, check_metadata=False):
        raise InputError(f"rows have other columns than the schema: {table.schema.names}", fix="Use row_table.")
    for f in ROWS:
        if not f.nullable and table.column(f.name).null_count:
            raise InputError(f"column {f.name!r} must not be null")
    value, status = table.column("value"), table.column("status").cast(pa.string())
    _refuse(table, pc.invert(pc.is_in(status, pa.array(STATUSES))), f"status must be one of {', '.join(STATUSES)}")
    for name in ("value", "seconds_render", "seconds_model"):
        column = table.column(name)
        finite = pc.fill_null(pc.is_finite(column), True)
        _refuse(table, pc.invert(finite), f"{name} is NaN or infinite; write None with status 'undefined' and a note")
    whole = pc.equal(table.column("metric").cast(pa.string()), WHOLE_ITEM)
    empty = pc.is_null(value)
    valued = pc.is_in(status, pa.array(["ok", "unparsed"]))
    _refuse(table, pc.and_(pc.and_(valued, empty), pc.invert(whole)), "status 'ok' or 'unparsed' needs a value")
    _refuse(table, pc.and_(pc.invert(valued), pc.invert(empty)), "status 'undefined' or 'failed' takes no value")
    _refuse(
        table, pc.and_(pc.invert(valued), pc.is_null(table.column("note"))), "this status needs a note with the reason"
    )


def _refuse(table: pa.Table, bad: pa.ChunkedArray, what: str) -> None:
    if not pc.any(bad, min_count=0).as_py():
        return
    first = table.filter(bad).slice(0, 1).select(["item", "metric", "factors"]).to_pylist()[0]
    raise InputError(what, where=f"item {first['item']!r}, metric {first['metric']!r}, factors {first['factors']}")
