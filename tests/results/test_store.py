"""The run directory: what goes in comes out, and what is not as it was written is refused."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from otoscope.core.errors import InputError, StoreError
from otoscope.results import tables
from otoscope.results.shards import Extent, ShardKey, plan_shards
from otoscope.results.store import Results

# --- directories -------------------------------------------------------------------------------------------------


def test_reads_without_torch_or_a_model_library() -> None:
    code = "import sys, otoscope.results.store, otoscope.results.merge\n"
    code += "assert not {'torch', 'transformers'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_is_not_a_run_directory_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(StoreError, match="not a run directory") as e:
            Results.open(path)
        assert e.value.exit_code == 3
        assert str(path) in str(e.value)
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(StoreError, match=r"not empty.*thesis\.txt"):
        Results.open(tmp_path, create=True)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]
    with pytest.raises(StoreError, match=r"thesis\.txt"):
        Results.open(tmp_path / "thesis.txt", create=True)


def test_create_is_idempotent_and_runs_are_appended(tmp_path: Path) -> None:
    Results.open(tmp_path / "run", create=True).record_run({"a": 1})
    results = Results.open(tmp_path / "run", create=True)
    results.record_run({"b": [1.5, None]})
    content = json.loads((tmp_path / "run" / "experiment.json").read_text())
    assert content == {"format": "otoscope-results", "schema": 2, "runs": [{"a": 1}, {"b": [1.5, None]}]}
    with pytest.raises(InputError, match="finite"):
        results.record_run({"c": float("nan")})
    assert len(results.experiment()["runs"]) == 2


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema": 1}', '{"format": "other", "schema": 1, "runs": []}'])
def test_a_damaged_experiment_file_is_named(tmp_path: Path, text: str) -> None:
    Results.open(tmp_path / "run", create=True)
    (tmp_path / "run" / "experiment.json").write_text(text)
    with pytest.raises(StoreError, match=r"experiment\.json: is damaged.*Restore it"):
        Results.open(tmp_path / "run")


def test_rows_without_an_experiment_are_not_taken_over(toy, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    toy.one_shard(tmp_path / "run")
    (tmp_path / "run" / "experiment.json").unlink()
    with pytest.raises(StoreError, match="holds rows but no"):
        Results.open(tmp_path / "run", create=True)


def test_a_newer_schema_says_upgrade(toy, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    file = toy.one_shard(tmp_path / "run")
    table, meta = tables.read(file, "rows", "fix")
    file.write_bytes(
        tables.encode(table, {k: meta[k] for k in ("cell", "key", "n_items", "n_failed")}, schema_version=9)
    )
    results = Results.open(tmp_path / "run")
    key = results.cell("aa").extent.shards[0]
    for read in (results.rows, lambda: results.shard_state("aa", key)):
        with pytest.raises(StoreError, match=r"version 9.*version 2.*Upgrade otoscope") as e:
            read()
        assert str(file) in str(e.value)
    experiment = tmp_path / "run" / "experiment.json"
    experiment.write_text(experiment.read_text().replace('"schema": 2', '"schema": 3'))
    with pytest.raises(StoreError, match=r"version 3.*version 2.*Upgrade otoscope"):
        Results.open(tmp_path / "run")


# --- cells -------------------------------------------------------------------------------------------------------


def test_cells_are_kept_in_order_and_updated(toy, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    a, b = Results.open(tmp_path / "run", create=True), Results.open(tmp_path / "run")
    a.register([toy.cell("bb"), toy.cell("aa")])
    assert [c.cell for c in b.cells()] == ["bb", "aa"]
    assert b.cell("aa").n_items == 7
    b.update_cells({"aa": {"status": "failed", "error": "no weights"}, "bb": {"n_done": 3}})
    assert (a.cell("aa").status, a.cell("aa").error, a.cell("bb").n_done) == ("failed", "no weights", 3)
    assert a.cell("aa").updated > a.cell("aa").created  # type: ignore[operator]
    a.register([toy.cell("aa")])
    assert a.cell("aa").status == "failed", "registering a known cell changes nothing"
    with pytest.raises(StoreError, match="no cell 'cc'"):
        a.update_cell("cc", status="done")
    with pytest.raises(ValueError, match="identity cannot change"):
        a.update_cell("aa", identity="{}")
    with pytest.raises(ValueError, match="status must be one of"):
        a.update_cell("aa", status="finished")
    with pytest.raises(StoreError, match="another identity"):
        a.register([replace(toy.cell("aa"), identity='{"other":1}')])
    with pytest.raises(ValueError, match="letters and digits"):
        replace(toy.cell("aa"), cell="../aa")


def test_a_plan_grows_and_never_shrinks_by_registering(toy, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    results = Results.open(tmp_path / "run", create=True)
    results.register([toy.cell("aa", n=4)])
    later = ShardKey.of(1, 0, ["x"])
    results.plan_round("aa", 1, 1, [later])
    (small,) = results.register([toy.cell("aa", n=2)])
    assert dict(small.extent.items) == {0: 4, 1: 1}
    assert results.plan_round("aa", 0, 4, toy.cell("aa", n=4).extent.shards).extent == small.extent
    results.update_cell("aa", status="done")
    (large,) = results.register([toy.cell("aa", n=7)])
    assert dict(large.extent.items) == {0: 7}, "round 1 was planned from round 0 and must be planned anew"
    assert (large.status, large.n_items) == ("planned", 7)


def test_damaged_cells_are_named(toy, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    toy.one_shard(tmp_path / "run")
    path = tmp_path / "run" / "cells.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(StoreError, match=r"cells\.parquet: is damaged"):
        Results.open(tmp_path / "run")
    path.unlink()
    with pytest.raises(StoreError, match=r"cells\.parquet"):
        Results.open(tmp_path / "run")


# --- shards ------------------------------------------------------------------------------------------------------


def test_shard_names_round_trip_and_depend_on_the_items_alone() -> None:
    key = ShardKey.of(2, 31, ["b", "a"], kind="readout")
    assert ShardKey.parse(str(key)) == key == ShardKey.of(2, 31, ["a", "b"], kind="readout")
    assert key.file_name(3).startswith("r2-00031-")
    assert key != ShardKey.of(2, 31, ["a", "c"], kind="readout")
    with pytest.raises(ValueError, match="not a shard key"):
        ShardKey.parse("r0-1-zz")


def test_enlarging_appends_and_leaves_full_shards_alone(toy, whole: Results, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "run"
    small = toy.work(path, n=4)
    assert small.rows(cells=["aa"]).num_rows == 8
    first = {p.name: p.stat().st_mtime_ns for p in (path / "items" / "aa").iterdir()}
    grown = toy.work(path, n=7)
    assert toy.content(grown) == toy.content(whole)
    now = {p.name: p.stat().st_mtime_ns for p in (path / "items" / "aa").iterdir()}
    assert first.items() <= now.items(), "a finished shard was touched"
    assert len(now) == 3 + 1  # the small run's last shard stays, and does not count
    assert grown.damaged() == []


def test_the_newest_attempt_counts(toy, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    first = toy.one_shard(tmp_path / "run")
    results = Results.open(tmp_path / "run")
    key = results.cell("aa").extent.shards[0]
    changed = [{**r, "value": -r["value"]} for r in toy.records(toy.ids)]
    second = results.write_shard("aa", key, toy.table(changed))
    assert (first.exists(), second.name) == (True, key.file_name(2))
    assert results.attempts("aa", key) == 2
    assert min(results.rows().column("value").to_pylist()) < 0
    second.unlink()
    assert min(results.rows().column("value").to_pylist()) == 0


def test_a_shard_holds_its_items_and_nothing_else(toy, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    results = Results.open(tmp_path / "run", create=True)
    results.register([toy.cell("aa")])
    (key, cut), *_ = plan_shards(0, toy.ids, 3)
    good = toy.records(toy.ids[cut])
    with pytest.raises(InputError, match="2 items with rows are not the items"):
        results.write_shard("aa", key, toy.table(good[:4]))
    with pytest.raises(InputError, match="same item, factors and metric"):
        results.write_shard("aa", key, toy.table([*good, good[0]]))
    with pytest.raises(InputError, match="cell 'bb' do not belong"):
        results.write_shard("aa", key, toy.table(good, cell="bb"))
    with pytest.raises(InputError, match="shard 1 do not belong"):
        results.write_shard("aa", key, toy.table(good, shard=1))
    with pytest.raises(InputError, match="other columns"):
        results.write_shard("aa", key, toy.table(good).drop_columns(["raw"]))
    with pytest.raises(StoreError, match="no cell 'cc'"):
        results.write_shard("cc", key, toy.table(good, cell="cc"))
    assert results.shard_state("aa", key) == "missing"
    assert results.read_shard("aa", key) is None


def test_readout_shards_stand_beside_item_shards(toy, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    results = Results.open(tmp_path / "run", create=True)
    keys = [ShardKey.of(0, 0, toy.ids), ShardKey.of(0, 0, toy.ids, kind="readout")]
    results.register([replace(toy.cell("aa"), extent=Extent().with_round(0, 7, keys))])
    results.write_shard("aa", keys[0], toy.table(toy.records(toy.ids)))
    learned = [{**r, "metric": "correct"} for r in toy.records(toy.ids[5:]) if r["metric"] == "near"]
    results.write_shard("aa", keys[1], toy.table(learned))
    assert results.rows(metrics=["correct"]).num_rows == 2
    assert results.progress("aa").n_items == 7
    results.write_shard("aa", keys[1], toy.table([]))
    assert results.rows(metrics=["correct"]).num_rows == 0


def test_without_a_plan_the_shards_on_disk_count_unless_they_compete(toy, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    results = Results.open(tmp_path / "run", create=True)
    results.register([replace(toy.cell("aa"), extent=Extent())])
    results.write_shard("aa", ShardKey.of(0, 0, toy.ids), toy.table(toy.records(toy.ids)))
    assert results.rows().num_rows == 14
    results.write_shard("aa", ShardKey.of(0, 0, toy.ids[:3]), toy.table(toy.records(toy.ids[:3])))
    with pytest.raises(StoreError, match="two shards"):
        results.rows()
