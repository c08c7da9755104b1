"""Rows: what they carry, what is refused, which of them a reader gets."""

import json
from dataclasses import replace
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings

from otoscope.core.errors import InputError, StoreError, UsageError
from otoscope.core.identity import canonical
from otoscope.core.items import Item
from otoscope.core.nouns import Row
from otoscope.results.cells import Cell
from otoscope.results.schema import ROWS, WHOLE_ITEM, Cost, failure_records, item_records, row_table
from otoscope.results.shards import Extent, ShardKey
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
