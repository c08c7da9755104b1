"""Joining directories: everything arrives once, contradictions stop it."""

from dataclasses import replace
from pathlib import Path

import pytest

from otoscope.core.errors import StoreError, UsageError
from otoscope.results.merge import merge
from otoscope.results.shards import plan_shards
from otoscope.results.store import Results


def part(toy, path: Path, shards: set[int], change=lambda r: r, n: int = 7) -> Path:  # type: ignore[no-untyped-def]
    """A directory that holds some shards of cell aa, as a run with ``--shard`` leaves it."""
    results = Results.open(path, create=True)
    results.record_run({"shards": sorted(shards)})
    results.register([toy.cell("aa", n)])
    for key, cut in plan_shards(0, toy.ids[:n], 3):
        if key.index in shards:
            records = [change(r) for r in toy.records(toy.ids[:n][cut])]
            results.write_shard("aa", key, toy.table(records, shard=key.index))
    results.put_artefact(path.name.encode())
    return path


def failing(*names: str):  # type: ignore[no-untyped-def]
    def change(r):  # type: ignore[no-untyped-def]
        return {**r, "value": None, "status": "failed", "note": "broke"} if r["item"] in names else r

    return change


def test_parts_become_the_whole(toy, whole: Results, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    parts = [part(toy, tmp_path / "one", {0, 2}), part(toy, tmp_path / "two", {1, 2})]
    toy.work(tmp_path / "three", cells=("bb",))
    merged = merge([*parts, tmp_path / "three"], tmp_path / "all")
    assert toy.content(merged) == toy.content(whole)
    assert merged.damaged() == []
    assert [(c.cell, c.status, c.n_done) for c in merged.cells()] == [("aa", "planned", 7), ("bb", "done", 7)]
    assert merged.experiment()["runs"] == [{"shards": [0, 2]}, {"shards": [1, 2]}, {"n": 7}]
    assert len(list(merged.artefacts)) == 3
    before = sorted(str(p) for p in (tmp_path / "all").rglob("*.parquet"))
    merge([*parts, tmp_path / "three"], tmp_path / "all")
    assert sorted(str(p) for p in (tmp_path / "all").rglob("*.parquet")) == before, "merging again adds nothing"


def test_done_only_where_all_shards_are(toy, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = part(toy, tmp_path / "one", {0, 1})
    Results.open(path).update_cell("aa", status="done")
    assert merge([path], tmp_path / "all").cell("aa").status == "planned"
    Results.open(path).update_cell("aa", status="failed", error="no weights")
    assert merge([path], tmp_path / "all").cell("aa").error == "no weights"


def test_a_larger_run_takes_in_a_smaller_one(toy, whole: Results, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    small, large = part(toy, tmp_path / "small", {0, 1}, n=4), part(toy, tmp_path / "large", {1, 2})
    for order in ([small, large], [large, small]):
        merged = merge(order, tmp_path / f"all-{order[0].name}")
        aa = [r for r in toy.content(whole) if r["cell"] == "aa"]
        assert toy.content(merged) == aa


def test_an_item_that_failed_in_one_is_taken_from_the_other(toy, whole: Results, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    one = part(toy, tmp_path / "one", {0, 1, 2}, failing("item-00", "item-05"))
    two = part(toy, tmp_path / "two", {0, 1, 2}, failing("item-01", "item-05"))
    merged = merge([one, two], tmp_path / "all")
    assert (merged.cell("aa").n_done, merged.cell("aa").n_failed) == (6, 1)
    attempts = len(list((tmp_path / "all").rglob("*.parquet")))
    assert attempts == 1 + 3 + 1, "the cells, three shards, and one of them again with what two had"
    merge([one, two], tmp_path / "all")
    assert len(list((tmp_path / "all").rglob("*.parquet"))) == attempts
    rows = toy.content(merged)
    assert {r["item"] for r in rows if r["status"] == "failed"} == {"item-05"}
    assert [r for r in rows if r["item"] != "item-05"] == [
        r for r in toy.content(whole) if r["cell"] == "aa" and r["item"] != "item-05"
    ]


@pytest.mark.parametrize("field", ["value", "status"])
def test_contradictions_stop_and_name_both(toy, tmp_path: Path, field: str) -> None:  # type: ignore[no-untyped-def]
    other = {"value": 99.0, "status": "unparsed"}[field]
    one = part(toy, tmp_path / "one", {0})
    two = part(toy, tmp_path / "two", {0}, lambda r: {**r, field: other} if r["item"] == "item-01" else r)
    with pytest.raises(StoreError, match=r"item 'item-01'.*metric 'far'") as e:
        merge([one, two], tmp_path / "all")
    assert str(two) in str(e.value)
    assert str(tmp_path / "all") in str(e.value)


def test_contradictions_are_found_across_shards_of_other_length(toy, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    small = part(toy, tmp_path / "small", {1}, lambda r: {**r, "value": 99.0}, n=4)
    with pytest.raises(StoreError, match="item 'item-03'"):
        merge([part(toy, tmp_path / "large", {1}), small], tmp_path / "all")


def test_costs_may_differ(toy, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    one = part(toy, tmp_path / "one", {0})
    two = part(toy, tmp_path / "two", {0}, lambda r: {**r, "seconds_model": 9.0})
    assert merge([one, two], tmp_path / "all").rows().num_rows == 6


def test_what_cannot_be_merged(toy, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    one = part(toy, tmp_path / "one", {0})
    with pytest.raises(UsageError, match="into itself"):
        merge([one], one)
    with pytest.raises(StoreError, match="not a run directory"):
        merge([one, tmp_path / "nowhere"], tmp_path / "all")
    assert not (tmp_path / "all").exists()
    other = Results.open(tmp_path / "other", create=True)
    other.register([toy.cell("aa", shard_items=2)])
    with pytest.raises(StoreError, match="cut into other shards"):
        merge([one, other.path], tmp_path / "all")
    third = Results.open(tmp_path / "third", create=True)
    third.register([replace(toy.cell("aa"), identity='{"other":1}')])
    with pytest.raises(StoreError, match="another identity"):
        merge([one, third.path], tmp_path / "all2")
