"""The run directory: append-only, self-contained, safe to share between workers.

::

    experiment.json                  format, schema version, one entry per run (versions, hardware, arguments)
    cells.parquet                    one row per cell
    items/<cell>/<shard>.a1.parquet  rows; shards.py explains the names and the attempts
    artefacts/<digest>               kept outputs and fitted things, content-addressed
    outputs/<key>                    which artefact holds a model's unmodified output; may be deleted
    claims/                          lock files; may be deleted whenever nobody works here

Why claims need not be correct: a claim only keeps two workers from doing the same work. If both do it (claims on a
file system without locks, a deleted folder), they compute the same rows, each writes its own temporary file, and
either rename leaves a whole shard. What must not be lost to a race, the two files that are rewritten
(``cells.parquet`` and ``experiment.json``), is read, changed and replaced under a lock that waits. All locks die with
their process.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import filelock
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from otoscope.core.display import Displayed, Shown
from otoscope.core.errors import InputError, StoreError, UsageError
from otoscope.results import tables
from otoscope.results.artefacts import Artefacts, pack
from otoscope.results.audit import audit
from otoscope.results.cells import Cell, cells_from, cells_table, enlarged
from otoscope.results.files import is_temporary, store_errors, sweep_temporaries, write_durably
from otoscope.results.schema import ROWS, SCHEMA_VERSION, WHOLE_ITEM
from otoscope.results.shardfiles import NOTHING_ASKED, Recalled, ShardFolder, Tally
from otoscope.results.shards import ShardKey

FORMAT = "otoscope-results"
ShardState = Literal["missing", "done", "failures"]

_LOCK_TIMEOUT_S = 300.0
_RESTORE = "Restore it from a copy; the rows under items/ are not affected."


class Results(Displayed):
    """One run directory, made by :meth:`open`. Whatever cannot be read or written raises :class:`StoreError` with the
    path; rows that break the schema raise :class:`InputError`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.artefacts = Artefacts(path / "artefacts")
        self._cells: tuple[tuple[int, int, int], list[Cell]] | None = None

    def __repr__(self) -> str:
        return self.shown().text()

    def shown(self) -> Shown:
        """The cells with their progress; scores are measured on demand (``otoscope.scores``)."""
        cells = [c for c in self.cells() if c.status != "superseded"]
        failed = sum(c.n_failed for c in cells)
        facts = {"cells": len(cells), "items": sum(c.n_items for c in cells), "done": sum(c.n_done for c in cells)}
        header = ("task", "condition", "model", "intervention", "status", "done", "failed")
        rows = [
            (c.task, c.condition, c.model, c.intervention, c.status, f"{c.n_done}/{c.n_items}", c.n_failed)
            for c in cells
        ]
        note = f"Scores: otoscope.scores({str(self.path)!r})."
        return Shown(f"Results in {self.path}", facts | {"failed": failed}, header, rows, note)

    @classmethod
    def open(cls, path: str | Path, create: bool = False) -> Results:
        """Open a run directory; with ``create`` make it where there is none (or an empty folder), and sweep what
        killed writers left. Raises :class:`StoreError` on what is not a run directory, is damaged, or is newer."""
        results = cls(Path(path))
        with store_errors(results.path):
            if create:
                results._create()
                results.sweep()
            results.experiment()
            results.cells()
        return results

    def _create(self) -> None:
        if (self.path / "experiment.json").is_file():
            return
        # What a creation that was killed leaves; anything else is somebody's folder.
        ours = {"claims", "items", "artefacts", "cells.parquet"}
        if self.path.is_dir():
            foreign = sorted(p.name for p in self.path.iterdir() if p.name not in ours and not is_temporary(p.name))
            if foreign or any((self.path / "items").glob("*")):
                what = f"holds {foreign[0]!r}" if foreign else "holds rows but no experiment.json"
                raise StoreError(
                    f"is not a run directory and not empty ({what})", where=str(self.path), fix="Name another."
                )
        for name in ("claims", "items", "artefacts"):
            (self.path / name).mkdir(parents=True, exist_ok=True)
        with self._lock("cells"), self._lock("experiment"):
            if not (self.path / "cells.parquet").is_file():
                self._write_cells([])
            if not (self.path / "experiment.json").is_file():  # written last: it is what makes this a run directory
                self._write_experiment([])

    @contextmanager
    def _lock(self, name: str) -> Iterator[None]:
        lock_path = self.path / "claims" / f"{name}.lock"
        with store_errors(lock_path):
            lock_path.parent.mkdir(exist_ok=True)
            lock = filelock.FileLock(lock_path, timeout=_LOCK_TIMEOUT_S)
            try:
                lock.acquire(poll_interval=0.005)
            except filelock.Timeout as e:
                fix = "Is another process stopped while it writes here?"
                raise StoreError(f"has been locked for {_LOCK_TIMEOUT_S:.0f} s", where=str(lock_path), fix=fix) from e
        try:
            yield
        finally:
            lock.release()

    # --- the experiment ----------------------------------------------------------------------------------------------

    def experiment(self) -> dict[str, Any]:
        """The content of ``experiment.json``: ``{"format", "schema", "runs": [...]}``."""
        path = self.path / "experiment.json"
        if not path.is_file():
            raise StoreError("is not a run directory (it has no experiment.json)", where=str(self.path))
        with store_errors(path):
            data = path.read_bytes()
        try:
            content: dict[str, Any] = json.loads(data)
            version, runs = content["schema"], content["runs"]
            if content["format"] != FORMAT or type(version) is not int or not isinstance(runs, list):
                raise ValueError("it lacks a format, a schema version or a list of runs")
        except (ValueError, KeyError, TypeError) as e:
            raise tables.damaged(path, e, _RESTORE) from e
        tables.refuse_newer(version, path)
        return content

    def record_run(self, run: Mapping[str, Any]) -> None:
        """Append one entry (plain JSON, finite numbers) to ``runs``."""
        with self._lock("experiment"):
            self._write_experiment([*self.experiment()["runs"], dict(run)])

    def _write_experiment(self, runs: list[dict[str, Any]]) -> None:
        content = {"format": FORMAT, "schema": SCHEMA_VERSION, "runs": runs}
        try:
            text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        except (ValueError, TypeError) as e:
            raise InputError(f"the record of a run must be plain JSON with finite numbers ({e})") from e
        write_durably(self.path / "experiment.json", text.encode(), "experiment")

    # --- cells -------------------------------------------------------------------------------------------------------

    def cells(self) -> list[Cell]:
        """All cells, in the order they were registered."""
        return list(self._read_cells())

    def _read_cells(self, fresh: bool = False) -> list[Cell]:
        """``fresh`` before a change: two writes within one tick of the file system's clock look alike."""
        path = self.path / "cells.parquet"
        with store_errors(path):
            stat = path.stat()
        stamp = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
        if fresh or self._cells is None or self._cells[0] != stamp:
            table, _ = tables.read(path, "cells", _RESTORE)
            self._cells = stamp, cells_from(table)
        return self._cells[1]

    def cell(self, cell: str) -> Cell:
        """One cell by its digest."""
        for known in self.cells():
            if known.cell == cell:
                return known
        raise StoreError(f"has no cell {cell!r}", where=str(self.path))

    def register(self, cells: Iterable[Cell]) -> list[Cell]:
        """Add cells that are new. Of a known cell only the extent may grow: a round that is larger in ``cells`` than
        in the store replaces it (and drops the later rounds, which were planned from it), and the cell is ``planned``
        again. Returns the stored cells in the order given: who asks for fewer items sees the larger extent."""
        wanted = list(cells)
        with self._lock("cells"):
            stored = {c.cell: c for c in self._read_cells(fresh=True)}
            before = dict(stored)
            now = datetime.now(UTC)
            for c in wanted:
                known = stored.get(c.cell)
                if known is None:
                    stored[c.cell] = c.changed(updated=now, n_items=c.n_items or c.extent.n_items, created=now)
                elif known.identity != c.identity:
                    raise StoreError(
                        f"cell {c.cell!r} ({c.alias}) is stored with another identity", where=str(self.path)
                    )
                else:
                    stored[c.cell] = enlarged(known, c, now)
            if stored != before:
                self._write_cells(stored.values())
        return [stored[c.cell] for c in wanted]

    def update_cell(self, cell: str, **changes: Any) -> Cell:
        """Replace fields (``status``, ``error``, ``extent``, ``n_items``, ``n_done``, ``n_failed``) of one cell."""
        return self.update_cells({cell: changes})[0]

    def update_cells(self, changes: Mapping[str, Mapping[str, Any]]) -> list[Cell]:
        """Many updates in one write: ``{cell: {field: value}}``."""
        with self._lock("cells"):
            stored = {c.cell: c for c in self._read_cells(fresh=True)}
            now = datetime.now(UTC)
            for name, fields in changes.items():
                if name not in stored:
                    raise StoreError(f"has no cell {name!r}", where=str(self.path), fix="Register it first.")
                if fixed := {"cell", "identity", "created"} & set(fields):
                    raise ValueError(f"a cell's {', '.join(sorted(fixed))} cannot change")
                stored[name] = stored[name].changed(**{"updated": now, **fields})
            if changes:
                self._write_cells(stored.values())
        return [stored[name] for name in changes]

    def plan_round(self, cell: str, round: int, n_items: int, keys: Iterable[ShardKey]) -> Cell:
        """Say what a round consists of. Later rounds are dropped where this changes the round; saying the same again
        (another worker, a resumed run) changes nothing."""
        keys = tuple(keys)
        known = self.cell(cell)
        if known.extent.with_round(round, n_items, keys) is known.extent:  # the usual case needs no lock
            return known
        with self._lock("cells"):
            stored = {c.cell: c for c in self._read_cells(fresh=True)}
            known = stored[cell]
            extent = known.extent.with_round(round, n_items, keys)
            if extent != known.extent:
                stored[cell] = known.changed(extent=extent, n_items=extent.n_items, updated=datetime.now(UTC))
                self._write_cells(stored.values())
        return stored[cell]

    def _write_cells(self, cells: Iterable[Cell]) -> None:
        write_durably(self.path / "cells.parquet", tables.encode(cells_table(cells), {"kind": "cells"}), "cells")

    # --- shards ------------------------------------------------------------------------------------------------------

    def folder(self, cell: str) -> ShardFolder:
        """The shard files of one cell."""
        return ShardFolder(self.path / "items" / cell, cell)

    def write_shard(self, cell: str, key: ShardKey, table: pa.Table, recalled: Recalled | None = None) -> Path:
        """Write the next attempt of a shard (rows from ``schema.row_table``), durably. An ``items`` shard must hold at
        least one row of each of its items. Raises :class:`InputError` on rows that are not this shard's."""
        self.cell(cell)
        return self.folder(cell).write(key, table, recalled)

    def shard_state(self, cell: str, key: ShardKey) -> ShardState:
        """From the footer alone: ``failures`` if any item failed."""
        tally = self.folder(cell).tally(key)
        return "missing" if tally is None else "failures" if tally.n_failed else "done"

    def attempts(self, cell: str, key: ShardKey) -> int:
        """How often the shard was tried: the number of its newest attempt, 0 where there is none."""
        return self.folder(cell).last_attempt(key)

    def read_shard(self, cell: str, key: ShardKey, columns: Sequence[str] | None = None) -> pa.Table | None:
        """The rows of the newest attempt, or None."""
        return self.folder(cell).read(key, columns)

    def progress(self, cell: str) -> Tally:
        """Items of the cell's extent that have rows now, and how many of them failed: from footers alone."""
        folder, known = self.folder(cell), self.cell(cell)
        keys = [k for k in folder.current(known.extent) if k.kind == "items"]
        tallies = [t for k in keys if (t := folder.tally(k)) is not None]
        n_rows, n_items, n_failed = (sum(getattr(t, n) for t in tallies) for n in ("n_rows", "n_items", "n_failed"))
        return Tally(n_rows, n_items, n_failed, sum((t.recalled for t in tallies), NOTHING_ASKED))

    @contextmanager
    def claim(self, cell: str, key: ShardKey) -> Iterator[bool]:
        """Whether this worker may have the shard; never waits. Only saves work: see the module."""
        path = self.path / "claims" / f"{cell}.{key}.lock"
        with store_errors(path):
            path.parent.mkdir(exist_ok=True)
            lock = filelock.FileLock(path, timeout=0)
            with suppress(filelock.Timeout):
                lock.acquire(blocking=False)
        held = lock.is_locked
        try:
            yield held
        finally:
            if held:
                with suppress(OSError):  # while it is held; a thousand lock files help nobody
                    path.unlink()
                lock.release()

    def rows(
        self,
        cells: Iterable[str] | None = None,
        metrics: Iterable[str] | None = None,
        columns: Sequence[str] | None = None,
    ) -> pa.Table:
        """Current rows: of the named cells (default: all that are not superseded), newest attempt of each shard that
        the cell's extent lists, in the order of cells and shards. Shards that are not there yet are not in it
        (:meth:`progress` counts what is). ``metrics`` always includes the rows of whole items (``"*"``)."""
        chosen = (
            [c for c in self.cells() if c.status != "superseded"] if cells is None else [self.cell(c) for c in cells]
        )
        if unknown := [c for c in columns or () if c not in ROWS.names]:
            raise UsageError(f"rows have no column {unknown[0]!r}", fix=f"They have: {', '.join(ROWS.names)}.")
        wanted = None if metrics is None else pa.array(sorted({*metrics, WHOLE_ITEM}))
        out_names = list(ROWS.names if columns is None else columns)
        names = out_names if wanted is None else list(dict.fromkeys([*out_names, "metric"]))
        parts = []
        for c in chosen:
            folder = self.folder(c.cell)
            for key in folder.current(c.extent):
                part = folder.read(key, names)
                if part is not None:
                    if wanted is not None:
                        part = part.filter(pc.is_in(part.column("metric").cast(pa.string()), wanted))
                    parts.append(part.select(out_names))
        empty = pa.schema([ROWS.field(n) for n in out_names]).empty_table()
        return pa.concat_tables([empty, *parts]).unify_dictionaries()

    def damaged(self) -> list[str]:
        """One sentence per thing that is not as it was written; [] means the directory is sound. Reads everything."""
        return audit(self.path, self.cells(), self.artefacts)

    def verify(self) -> None:
        """Raise :class:`StoreError` that lists everything :meth:`damaged` finds."""
        if found := self.damaged():
            raise StoreError(f"{len(found)} damaged: " + " | ".join(found), where=str(self.path))

    def sweep(self) -> int:
        """Delete temporary files whose writer is dead; returns how many. Safe while others write."""
        items = self.path / "items"
        folders = [
            self.path,
            self.artefacts.folder,
            self.path / "outputs",
            *(sorted(items.iterdir()) if items.is_dir() else []),
        ]
        return sum(sweep_temporaries(f) for f in folders)

    # --- artefacts ---------------------------------------------------------------------------------------------------

    def put_artefact(self, content: bytes | Mapping[str, Any]) -> str:
        """Store bytes or named arrays; returns the sha256 that names them."""
        return self.artefacts.put(content if isinstance(content, bytes) else pack(content))

    def get_artefact(self, digest: str) -> bytes:
        """The bytes; verified."""
        return self.artefacts.get(digest)

    def get_arrays(self, digest: str) -> dict[str, NDArray[Any]]:
        """The named arrays of an artefact that was stored as such; verified."""
        return self.artefacts.arrays(digest)
