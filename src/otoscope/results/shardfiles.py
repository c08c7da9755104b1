"""The files of one cell: writing, finding and reading its shards."""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from otoscope.core.errors import InputError, StoreError
from otoscope.results import tables
from otoscope.results.files import store_errors, write_durably
from otoscope.results.schema import check_rows
from otoscope.results.shards import Extent, ShardKey, parse_file_name

FIX = "Delete the file and run the same command again: only this shard is computed anew."


@dataclass(frozen=True)
class Recalled:
    """Of the sounds that an encoder was asked about: those that the embedding store had, those that were encoded, and
    the files of the store that were damaged. All 0 where no store was asked."""

    stored: int = 0
    encoded: int = 0
    damaged: int = 0

    def __add__(self, other: Recalled) -> Recalled:
        return Recalled(self.stored + other.stored, self.encoded + other.encoded, self.damaged + other.damaged)


NOTHING_ASKED = Recalled()


@dataclass(frozen=True)
class Tally:
    """What a shard holds: rows, items with rows, items that failed, and what the embedding store gave."""

    n_rows: int
    n_items: int
    n_failed: int
    recalled: Recalled = NOTHING_ASKED


class ShardFolder:
    """``items/<cell>/``. Lists the folder at each call: other workers write here too."""

    def __init__(self, folder: Path, cell: str) -> None:
        self.folder, self.cell = folder, cell

    def _names(self) -> list[str]:
        with store_errors(self.folder):
            try:
                return os.listdir(self.folder)
            except FileNotFoundError:  # no shard yet
                return []

    def attempts(self) -> dict[ShardKey, list[int]]:
        """Attempts on disk, ascending, by key in order. Temporary files and anything else are not shards."""
        found: dict[ShardKey, list[int]] = {}
        for name in self._names():
            if parsed := parse_file_name(name):
                found.setdefault(parsed[0], []).append(parsed[1])
        return {k: sorted(v) for k, v in sorted(found.items())}

    def last_attempt(self, key: ShardKey) -> int:
        """The number of the newest attempt, 0 where there is none."""
        files = (parse_file_name(n) for n in self._names() if n.startswith(f"{key}.a"))
        return max((f[1] for f in files if f is not None), default=0)

    def current(self, extent: Extent) -> list[ShardKey]:
        """Shards that count, in order. Where nothing was planned: all there are, if that is unambiguous."""
        if extent.items:
            return list(extent.shards)
        keys = list(self.attempts())
        for a, b in itertools.pairwise(keys):
            if (a.round, a.index, a.kind) == (b.round, b.index, b.kind):
                raise StoreError(
                    f"holds two shards {a} and {b} in one place, and the cell's extent does not say which counts",
                    where=str(self.folder),
                    fix="Run the same command again.",
                )
        return keys

    def newest(self, key: ShardKey) -> Path | None:
        last = self.last_attempt(key)
        return self.folder / key.file_name(last) if last else None

    def write(self, key: ShardKey, table: pa.Table, recalled: Recalled | None = None) -> Path:
        """The next attempt; see :meth:`Results.write_shard`."""
        tally = self._check(key, table)
        with store_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / key.file_name(self.last_attempt(key) + 1)
        meta = {
            "kind": "rows",
            "cell": self.cell,
            "key": str(key),
            "n_items": tally.n_items,
            "n_failed": tally.n_failed,
            **({} if recalled is None else {"recalled": asdict(recalled)}),
        }
        write_durably(path, tables.encode(table, meta), "shard")
        return path

    def _check(self, key: ShardKey, table: pa.Table) -> Tally:
        check_rows(table)
        for name, value in (("cell", self.cell), ("round", key.round), ("shard", key.index)):
            others = [v for v in pc.unique(table.column(name)).to_pylist() if v != value]
            if others:
                raise InputError(f"rows of {name} {others[0]!r} do not belong to {key} of cell {self.cell}")
        items = pc.unique(table.column("item")).to_pylist()
        if key.kind == "items" and ShardKey.of(key.round, key.index, items) != key:
            raise InputError(
                f"{len(items)} items with rows are not the items that {key} names",
                where=f"cell {self.cell}",
                fix="An item that failed or gives no value has a row, too: see failure_records and item_records.",
            )
        plain = table.select(["item", "factors", "metric"]).cast(
            pa.schema([(n, pa.string()) for n in ("item", "factors", "metric")])
        )
        if plain.group_by(plain.column_names).aggregate([]).num_rows < table.num_rows:
            raise InputError("two rows have the same item, factors and metric", where=f"cell {self.cell}, {key}")
        failed = table.filter(pc.equal(table.column("status").cast(pa.string()), "failed"))
        return Tally(table.num_rows, len(items), len(pc.unique(failed.column("item"))))

    def tally(self, key: ShardKey) -> Tally | None:
        """Counts of the newest attempt from its footer, or None."""
        path = self.newest(key)
        if path is None:
            return None
        meta = tables.read_meta(path, FIX)
        self._mine(path, key, meta)
        return Tally(meta["n_rows"], meta["n_items"], meta["n_failed"], Recalled(**meta.get("recalled", {})))

    def read(self, key: ShardKey, columns: Sequence[str] | None = None) -> pa.Table | None:
        """Rows of the newest attempt, verified, or None."""
        path = self.newest(key)
        return None if path is None else self.read_file(path, key, columns)

    def read_file(self, path: Path, key: ShardKey, columns: Sequence[str] | None = None) -> pa.Table:
        table, meta = tables.read(path, "rows", FIX, columns)
        self._mine(path, key, meta)
        return table

    def _mine(self, path: Path, key: ShardKey, meta: dict[str, object]) -> None:
        tables.refuse_newer(int(str(meta["schema"])), path)
        if (meta.get("cell"), meta.get("key")) != (self.cell, str(key)):
            raise tables.damaged(path, f"it holds shard {meta.get('key')} of cell {meta.get('cell')}", FIX)
