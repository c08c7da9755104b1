"""The run directory: what goes in comes out, and what is not as it was written is refused."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings

from otoscope.core.errors import InputError, StoreError, UsageError
from otoscope.core.identity import canonical
from otoscope.core.items import Item
from otoscope.core.nouns import Row
from otoscope.results import tables
from otoscope.results.cells import Cell
from otoscope.results.schema import ROWS, WHOLE_ITEM, Cost, failure_records, item_records, row_table
from otoscope.results.shards import Extent, ShardKey, plan_shards
from otoscope.results.store import Results


class Silence:
    """Inputs of items whose sound does not matter here."""

    names = ("sound",)

    def render(self, rate):  # type: ignore[no-untyped-def]
        raise AssertionError("the store must not render")

    def describe(self) -> str:
        return "silence"


def item(name: str, **factors) -> Item:  # type: ignore[no-untyped-def]
    return Item(name, f"base-{name}", "g", Silence(), factors)


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


# --- rows --------------------------------------------------------------------------------------------------------


def test_item_records_carry_everything(tmp_path: Path) -> None:
    rows = [Row("a", 1.5, {"layer": 3}, raw="yes"), Row("b", None, status="undefined", note="silent")]
    cost = Cost(seconds_model=0.5, tokens_in=7)
    records = item_records(item("i", layer=1, side="left"), rows, cost=cost, output="d1")
    records += failure_records(item("j"), "it broke") + item_records(item("k"), [])
    table = row_table("aa", 0, 2, records)
    first = table.to_pylist()[0]
    assert first["factors"] == '{"layer":3,"side":"left"}'
    assert (first["base_id"], first["raw"], first["tokens_in"], first["output"]) == ("base-i", "yes", 7, "d1")
    assert (first["cell"], first["round"], first["shard"]) == ("aa", 0, 2)
    assert [r["metric"] for r in table.to_pylist()] == ["a", "b", WHOLE_ITEM, WHOLE_ITEM]
    assert table.column("status").to_pylist() == ["ok", "undefined", "failed", "ok"]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (Row("a", float("nan")), "NaN"),
        (Row("a", float("inf")), "infinite"),
        (Row("a", None), "needs a value"),
        (Row("a", None, status="unparsed"), "needs a value"),
        (Row("a", 1.0, status="undefined", note="why"), "takes no value"),
        (Row("a", None, status="undefined"), "needs a note"),
        (Row("a", 1.0, status="fine"), "status must be one of"),
        (Row("a", 1.0, {"f": float("nan")}), "factor 'f' must be finite"),
        (Row("a", 1.0, {"f": (1, 2)}), "factor 'f' must be text"),  # type: ignore[dict-item]
    ],
)
def test_rows_that_lie_are_refused(row: Row, message: str) -> None:
    with pytest.raises(InputError, match=message):
        row_table("aa", 0, 0, item_records(item("i"), [row]))


def test_factors_of_equal_value_and_other_type_stay_apart() -> None:
    rows = [
        Row("a", 1.0, {"f": 1}),
        Row("a", 1.0, {"f": 1.0}),
        Row("a", 1.0, {"f": True}),
        Row("a", 1.0, {"f": np.float64(2)}),
    ]
    table = row_table("aa", 0, 0, item_records(item("i"), rows))
    assert table.column("factors").to_pylist() == ['{"f":1}', '{"f":1.0}', '{"f":true}', '{"f":2.0}']


_text = st.text(min_size=1, max_size=8)
_finite = st.floats(allow_nan=False, allow_infinity=False)
_rows = st.builds(
    Row,
    metric=_text,
    value=_finite,
    factors=st.dictionaries(_text, st.one_of(_text, st.integers(-(2**53), 2**53), _finite, st.booleans()), max_size=3),
    raw=st.none() | _text,
    status=st.sampled_from(["ok", "unparsed"]),
    note=st.none() | _text,
)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(_text, st.lists(_rows, max_size=4)), min_size=1, max_size=6, unique_by=lambda p: p[0]))
def test_rows_round_trip(tmp_path_factory: pytest.TempPathFactory, found: list[tuple[str, list[Row]]]) -> None:
    records = []
    for name, rows in found:
        unique = {(r.metric, canonical(dict(r.factors))): r for r in rows}
        records += item_records(item(name), list(unique.values()), cost=Cost(seconds_render=0.1, peak_bytes=1))
    key = ShardKey.of(0, 0, [name for name, _ in found])
    results = Results.open(tmp_path_factory.mktemp("any") / "run", create=True)
    extent = Extent().with_round(0, len(found), [key])
    results.register([Cell("aa", "a", "t", "c", "m", "i", 0, "{}", extent=extent)])
    table = row_table("aa", 0, 0, records)
    results.write_shard("aa", key, table)
    assert results.rows().to_pylist() == table.to_pylist()
    assert results.rows().schema.equals(ROWS)
    assert [json.loads(t) for t in results.rows().column("factors").to_pylist()] == [
        dict(r["factors"]) for r in records
    ]


def test_rows_select_cells_metrics_and_columns(whole: Results) -> None:
    assert whole.rows(cells=["bb"]).num_rows == 14
    some = whole.rows(metrics=["far"], columns=["item", "value"])
    assert some.column_names == ["item", "value"]
    assert some.num_rows == 14
    assert whole.rows(cells=[]).num_rows == 0
    with pytest.raises(UsageError, match="no column 'colour'"):
        whole.rows(columns=["colour"])
    with pytest.raises(StoreError, match="no cell 'zz'"):
        whole.rows(cells=["zz"])


def test_failed_items_come_along_with_any_metric(toy, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    results = Results.open(tmp_path / "run", create=True)
    key = ShardKey.of(0, 0, ["i", "j"])
    results.register([replace(toy.cell("aa"), extent=Extent().with_round(0, 2, [key]))])
    records = item_records(item("i"), [Row("a", 1.0), Row("b", 2.0)]) + failure_records(item("j"), "broke")
    results.write_shard("aa", key, row_table("aa", 0, 0, records))
    assert results.rows(metrics=["a"], columns=["item"]).column("item").to_pylist() == ["i", "j"]
    assert results.shard_state("aa", key) == "failures"
    assert (results.progress("aa").n_items, results.progress("aa").n_failed) == (2, 1)


def test_superseded_cells_are_left_out_unless_named(toy, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    toy.one_shard(tmp_path / "run")
    results = Results.open(tmp_path / "run")
    results.update_cell("aa", status="superseded")
    assert results.rows().num_rows == 0
    assert results.rows(cells=["aa"]).num_rows == 14


def test_any_parquet_reader_can_read_a_shard(toy, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    table = pq.read_table(toy.one_shard(tmp_path / "run"))
    assert table.column("value").to_pylist()[:2] == [0.0, 0.125]


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


# --- damage ------------------------------------------------------------------------------------------------------


def test_a_truncated_shard_is_named_with_what_to_do(toy, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    file = toy.one_shard(tmp_path / "run")
    results = Results.open(tmp_path / "run")
    key = results.cell("aa").extent.shards[0]
    data = file.read_bytes()
    for n in (0, 3, 100, len(data) // 2, len(data) - 9, len(data) - 1):
        file.write_bytes(data[:n])
        for read in (results.rows, results.verify, lambda: results.shard_state("aa", key)):
            with pytest.raises(StoreError, match="Delete the file and run the same command again") as e:
                read()
            assert str(file) in str(e.value)
            assert e.value.exit_code == 3
    file.unlink()
    results.write_shard("aa", key, toy.table(toy.records(toy.ids)))
    results.verify()


def test_no_flipped_bit_changes_a_value_unnoticed(toy, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """Pages, page headers and footer alike: the same rows or an error. (All bits of such a file were tried once.)"""
    file = toy.one_shard(tmp_path / "run")
    data = file.read_bytes()
    truth, _ = tables.read(file, "rows", "fix")
    rng = np.random.default_rng(7)
    caught = 0
    for position, bit in zip(rng.permutation(len(data))[:250], rng.integers(0, 8, 250), strict=True):
        damaged = bytearray(data)
        damaged[position] ^= 1 << int(bit)
        file.write_bytes(damaged)
        try:
            table, _ = tables.read(file, "rows", "fix")
        except StoreError:
            caught += 1
        else:
            assert table.equals(truth), f"byte {position}, bit {bit}"
            assert table.schema.equals(truth.schema)
    assert caught > 125


def test_a_flipped_bit_is_found_in_the_selected_columns_too(toy, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    file = toy.one_shard(tmp_path / "run")
    table, _ = tables.read(file, "rows", "fix")
    forged = table.set_column(table.schema.get_field_index("value"), ROWS.field("value"), pa.array(np.zeros(14)))
    footer = pq.read_metadata(file).metadata  # what says that the old values are right
    pq.write_table(forged.replace_schema_metadata({k: v for k, v in footer.items() if k.startswith(b"otoscope")}), file)
    results = Results.open(tmp_path / "run")
    assert results.rows(columns=["item"]).num_rows == 14
    with pytest.raises(StoreError, match="column 'value' does not match"):
        results.rows(columns=["item", "value"])


def test_everything_wrong_is_listed(toy, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    results = toy.work(tmp_path / "run")
    items = tmp_path / "run" / "items"
    first, second, third = sorted((items / "aa").iterdir())
    first.write_bytes(first.read_bytes()[:50])
    second.unlink()
    third.rename(items / "bb" / third.name.replace("a1", "a5"))
    (items / "bb" / "notes.txt").write_text("?")
    (items / "stranger").mkdir()
    digest = results.put_artefact(b"sound")
    (tmp_path / "run" / "artefacts" / digest).write_bytes(b"noise")
    text = "\n".join(results.damaged())
    assert len(results.damaged()) == 7
    for part in (
        first.name,
        "lacks shard r0-00001",
        "lacks shard r0-00002",
        "of cell aa",
        "notes.txt",
        "stranger",
        digest,
    ):
        assert part in text
    with pytest.raises(StoreError, match="7 damaged"):
        results.verify()


# --- artefacts ---------------------------------------------------------------------------------------------------


def test_artefacts_are_named_by_content_and_verified(tmp_path: Path) -> None:
    results = Results.open(tmp_path / "run", create=True)
    arrays = {"b": np.arange(6.0).reshape(2, 3).T, "a": np.float32(2.5), "none": np.zeros((0, 4), np.int16)}
    digest = results.put_artefact(arrays)
    assert results.put_artefact(dict(reversed(arrays.items()))) == digest
    back = results.get_arrays(digest)
    for name, array in arrays.items():
        assert np.array_equal(back[name], array)
        assert back[name].dtype == array.dtype
        assert back[name].shape == np.shape(array)
    raw = results.put_artefact(b"bytes")
    assert results.get_artefact(raw) == b"bytes"
    with pytest.raises(StoreError, match="not named arrays"):
        results.get_arrays(raw)
    path = tmp_path / "run" / "artefacts" / digest
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(StoreError, match="does not match its name") as e:
        results.get_arrays(digest)
    assert str(path) in str(e.value)
    assert results.put_artefact(arrays) == digest, "putting again repairs"
    results.get_arrays(digest)
    with pytest.raises(StoreError, match="no such artefact"):
        results.get_artefact("0" * 64)
    with pytest.raises(StoreError, match="no such artefact"):
        results.get_artefact("../experiment.json")
    with pytest.raises(InputError, match="cannot be stored"):
        results.put_artefact({"text": np.array(["a"])})
