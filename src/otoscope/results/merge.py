"""Joining run directories: shards computed on machines that share no file system become one directory.

Cells are matched by identity, shards by their items. An item that failed in one directory and not in another is taken
from the latter; two answers for one item must be equal (costs aside), else nothing is right and the merge stops.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from otoscope.core.errors import StoreError, UsageError
from otoscope.results.cells import Cell
from otoscope.results.shards import ShardKey
from otoscope.results.store import Results

#: The better of two statuses wins, provided that the shards are there.
_RANK = {"superseded": 0, "planned": 1, "running": 1, "failed": 2, "done": 3}

#: item -> (metric, factors) -> (value, status)
_Answers = dict[str, dict[tuple[str, str], tuple[float | None, str]]]


def merge(dirs: Sequence[str | Path], into: str | Path) -> Results:
    """Join the run directories ``dirs`` into ``into`` (made if need be; may hold results already). Safe to run again
    after a kill. Raises :class:`StoreError` on rows that contradict each other, on damaged files, and on cells that
    were cut into different shards."""
    target = Path(into)
    sources = [Results.open(d) for d in dirs]
    if any(s.path.resolve() == target.resolve() for s in sources):
        raise UsageError("a directory cannot be merged into itself", where=str(target))
    results = Results.open(target, create=True)
    for source in sources:
        known = results.experiment()["runs"]
        for run in source.experiment()["runs"]:
            if run not in known:
                results.record_run(run)
        for digest in source.artefacts:
            results.put_artefact(source.get_artefact(digest))
        _merge_cells(source, results)
    return results


def _merge_cells(source: Results, target: Results) -> None:
    theirs = source.cells()
    before = {c.cell: c for c in target.cells()}
    # Planned until the shards are here: a kill must not leave a cell that claims to be done.
    merged = target.register(replace(c, status="planned", error=None, n_done=0, n_failed=0) for c in theirs)
    updates: dict[str, Mapping[str, Any]] = {}
    for cell, stored in zip(theirs, merged, strict=True):
        _refuse_other_cut(source, target, cell, stored)
        for key in source.folder(cell.cell).current(cell.extent):
            _merge_shard(source, target, stored, key)
        updates[cell.cell] = _outcome(target, cell, before.get(cell.cell), stored)
    target.update_cells(updates)


def _refuse_other_cut(source: Results, target: Results, cell: Cell, stored: Cell) -> None:
    for round, n in cell.extent.items.items():
        a, b = ([k for k in c.extent.shards if k.round == round] for c in (cell, stored))
        if n == stored.extent.items.get(round) and a != b:
            raise StoreError(
                f"cell {cell.alias} was cut into other shards (round {round}) than in {target.path}",
                where=str(source.path),
                fix="Merge only runs of the same experiment and version.",
            )


def _merge_shard(source: Results, target: Results, cell: Cell, key: ShardKey) -> None:
    """Copy the newest attempt of one shard, or what is better in it. A shard that a larger extent has replaced is only
    compared: its items are in another one."""
    theirs = source.read_shard(cell.cell, key)
    if theirs is None:
        return
    for other in target.folder(cell.cell).attempts():
        same_place = (other.round, other.index, other.kind) == (key.round, key.index, key.kind)
        if other == key or (same_place and key.kind == "items"):  # a readout depends on the whole round
            known = _answers(target.read_shard(cell.cell, other))
            _refuse_contradictions(_answers(theirs), known, f"{source.path} and {target.path}", cell)
    if cell.extent.items and key not in cell.extent.shards:
        return
    mine = target.read_shard(cell.cell, key)
    if mine is None:
        tally = source.folder(cell.cell).tally(key)
        target.write_shard(cell.cell, key, theirs, None if tally is None else tally.recalled)
        return
    better = pa.array(sorted(_failed(mine) - _failed(theirs)), pa.string())
    if len(better):
        kept = mine.filter(pc.invert(pc.is_in(mine.column("item"), better)))
        gained = theirs.filter(pc.is_in(theirs.column("item"), better))
        tally = target.folder(cell.cell).tally(key)
        joined = pa.concat_tables([kept, gained]).unify_dictionaries()
        target.write_shard(cell.cell, key, joined, None if tally is None else tally.recalled)


def _answers(table: pa.Table | None) -> _Answers:
    """What the items that did not fail were answered."""
    found: _Answers = {}
    if table is not None:
        failed = _failed(table)
        for r in table.select(["item", "metric", "factors", "value", "status"]).to_pylist():
            if r["item"] not in failed:
                found.setdefault(r["item"], {})[r["metric"], r["factors"]] = (r["value"], r["status"])
    return found


def _failed(table: pa.Table) -> set[str]:
    failed = table.filter(pc.equal(table.column("status").cast(pa.string()), "failed"))
    return set(failed.column("item").to_pylist())


def _refuse_contradictions(a: _Answers, b: _Answers, where: str, cell: Cell) -> None:
    for item in sorted(a.keys() & b.keys()):
        for metric, factors in sorted(a[item].keys() | b[item].keys()):
            x, y = a[item].get((metric, factors)), b[item].get((metric, factors))
            if x != y:
                told = [f"{v[0]} ({v[1]})" if v else "no row" for v in (x, y)]
                raise StoreError(
                    f"item {item!r} of cell {cell.alias} has {told[0]} in one and {told[1]} in the other"
                    f" for metric {metric!r}, factors {factors}",
                    where=where,
                    fix="Find out which is right, delete the other shard and merge again.",
                )


def _outcome(target: Results, theirs: Cell, before: Cell | None, stored: Cell) -> dict[str, Any]:
    tally = target.progress(stored.cell)
    present = target.folder(stored.cell).attempts()
    complete = all(k in present for k in stored.extent.shards)
    known = [c for c in (theirs, before) if c is not None]
    best = max(known, key=lambda c: _RANK[c.status])
    status = "planned" if best.status == "running" or (best.status == "done" and not complete) else best.status
    counts = {"n_done": tally.n_items - tally.n_failed, "n_failed": tally.n_failed}
    return {"status": status, "error": best.error if status == "failed" else None, **counts}
