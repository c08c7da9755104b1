"""Directories of every schema version there has been stay readable."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from otoscope.core.errors import StoreError
from otoscope.results import migrate, tables
from otoscope.results.migrate import upgrade
from otoscope.results.schema import ROWS, SCHEMA_VERSION
from otoscope.results.store import Results

HISTORIC = Path(__file__).parents[1] / "historic"


def test_every_version_is_kept() -> None:
    assert sorted(p.name for p in HISTORIC.iterdir() if p.is_dir()) == [f"v{v + 1}" for v in range(SCHEMA_VERSION)]


@pytest.mark.parametrize("version", range(1, SCHEMA_VERSION + 1))
def test_a_directory_of_that_version_still_says_the_same(version: int) -> None:
    results = Results.open(HISTORIC / f"v{version}")
    assert results.damaged() == []
    expected = json.loads((HISTORIC / f"v{version}.json").read_text())
    rows = results.rows()
    assert rows.schema.equals(ROWS)
    assert rows.select(list(expected["rows"][0])).to_pylist() == expected["rows"]
    cells = [{k: getattr(c, k) for k in expected["cells"][0]} for c in results.cells()]
    assert cells == expected["cells"]
    arrays = results.get_arrays(expected["artefact"])
    assert np.array_equal(arrays["scale"], [0.5, 2.0])


def test_old_files_are_brought_up_to_date_as_they_are_read(
    toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # type: ignore[no-untyped-def]
    """A shard of an imagined version 0, in which ``value`` had another name and there were no tokens."""
    file = toy.one_shard(tmp_path / "run")
    table, meta = tables.read(file, "rows", "fix")
    old = table.drop_columns(["tokens_in", "tokens_kept", "in_training"]).rename_columns({"value": "number"})
    file.write_bytes(tables.encode(old, {k: meta[k] for k in ("cell", "key", "n_items", "n_failed")}, schema_version=0))
    results = Results.open(tmp_path / "run")
    with pytest.raises(StoreError, match="is damaged"):
        results.rows()

    def step(t: pa.Table) -> pa.Table:
        t = t.rename_columns({"number": "value"})
        for name in ("tokens_in", "tokens_kept"):
            t = t.append_column(ROWS.field(name), pa.nulls(len(t), pa.int64()))
        return t.select([n for n in ROWS.names if n != "in_training"])

    monkeypatch.setitem(migrate.STEPS["rows"], 0, step)
    assert results.rows().equals(table)
    assert results.rows(columns=["item", "value"]).equals(table.select(["item", "value"]))


def test_steps_run_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = {"rows": {v: lambda t, v=v: t.append_column(f"v{v}", pa.array([v])) for v in (-2, 0)}}
    assert upgrade(pa.table({"x": [1]}), "rows", -2, steps).column_names == ["x", "v-2", "v0"]
