"""Paired comparisons against hand computation."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from otoscope.core.errors import InputError, UsageError
from otoscope.results.cells import Cell
from otoscope.results.compare import compare
from otoscope.results.schema import WHOLE_ITEM, row_table
from otoscope.results.shards import Extent, ShardKey
from otoscope.results.store import Results
from otoscope.stats.correction import benjamini_hochberg, holm
from otoscope.stats.paired import paired_comparison


def put(results: Results, name: str, records: list[dict[str, Any]], **labels: Any) -> None:
    key = ShardKey.of(0, 0, {r["item"] for r in records})
    cell = Cell(name, name, "toy", "intact", "a", "none", 0, f'"{name}"', extent=Extent().with_round(0, 1, [key]))
    results.register([replace(cell, **labels)])
    results.write_shard(name, key, row_table(name, 0, 0, records))


def records(values: Any, metric: str = "x", prefix: str = "", group: int = 1, **factors: Any) -> list[dict[str, Any]]:
    return [
        {"item": f"{prefix}{i:02d}", "base_id": f"{i:02d}", "group": f"g{i // group:02d}", "metric": metric,
         "value": float(v), "factors": factors, "status": "ok"}
        for i, v in enumerate(values)
    ]  # fmt: skip


@pytest.fixture
def run(tmp_path: Path) -> Results:
    return Results.open(tmp_path / "run", create=True)


def test_a_pairing_equals_the_statistics_of_its_differences(run: Results) -> None:
    rng = np.random.default_rng(0)
    a, b, c = rng.normal(size=(3, 60))
    put(run, "ca", [*records(a, f=1, group=2), *records(a * 2, "y", f=1, group=2)], model="a")
    put(run, "cb", [*records(b + 1, f=1, group=2), *records(b, "y", f=1, group=2)], model="b")
    put(run, "cc", [*records(c, f=1, group=2), *records(c, "y", f=1, group=2)], model="c")
    found = compare(run, "model", "a", seed=9)
    assert [(x.other, x.metric) for x in found] == [("b", "x"), ("b", "y"), ("c", "x"), ("c", "y")]
    first = found[0]
    one = paired_comparison(b + 1, a, np.arange(60) // 2, seed=9)
    assert (first.n, first.n_groups, first.n_unmatched, first.n_failed) == (60, 30, 0, 0)
    assert first.difference == pytest.approx(np.mean(b + 1 - a))
    assert (first.baseline_mean, first.other_mean) == pytest.approx((a.mean(), b.mean() + 1))
    for mine, theirs in (
        ("difference", "mean_difference"), ("ci_low", "ci_low"), ("ci_high", "ci_high"), ("effect_size", "effect_size"),
        ("p", "p_value"), ("smallest_detectable", "smallest_detectable"),
    ):  # fmt: skip
        assert getattr(first, mine) == pytest.approx(getattr(one, theirs), rel=1e-9), mine
    p = [x.p for x in found]
    assert [x.p_holm for x in found] == pytest.approx(holm(p).tolist())  # type: ignore[arg-type]
    assert [x.p_bh for x in found] == pytest.approx(benjamini_hochberg(p).tolist())  # type: ignore[arg-type]
    assert first.fixed == {"condition": "intact", "intervention": "none"}
    json.loads(json.dumps([asdict(x) for x in found], allow_nan=False))
    assert compare(run, "model", "a", ["y"], seed=9)[0].difference == pytest.approx(np.mean(b - 2 * a))


def test_items_without_a_partner_are_counted(run: Results) -> None:
    left = records(range(10))
    right = [
        *records(range(12))[2:],
        {**records([0])[0], "metric": WHOLE_ITEM, "value": None, "status": "failed", "note": "broke"},
    ]
    right[0] |= {"value": None, "status": "undefined", "note": "0/0"}
    put(run, "ca", left, model="a")
    put(run, "cb", right, model="b")
    (found,) = compare(run, "model", "a")
    assert (found.n, found.difference) == (7, 0.0)
    assert (found.n_unmatched, found.n_failed, found.n_undefined) == (5, 1, 1)  # 00 01 02 of a, 10 11 of b
    assert (found.effect_size, found.ci_low, found.ci_high) == (None, 0.0, 0.0)


def test_pairs_survive_conditions_whose_label_is_a_factor(run: Results) -> None:
    put(run, "ca", [*records(range(6), rung="intact", f=1), *records(range(6), prefix="k", rung="intact", f=2)])
    put(
        run,
        "cb",
        [
            *records([v + 1 for v in range(6)], rung="cut", f=1),
            *records([v + 3 for v in range(6)], prefix="k", rung="cut", f=2),
        ],
        condition="cut",
    )
    found = compare(run, "condition", "intact")
    assert [(x.other, x.factors, x.difference, x.n) for x in found] == [
        ("cut", {"f": 1}, 1.0, 6),
        ("cut", {"f": 2}, 3.0, 6),
    ]


def test_seeds_are_paired_with_their_own_and_pooled(run: Results) -> None:
    for seed in (0, 1):
        put(run, f"ca{seed}", records([seed] * 5), seed=seed)
        put(run, f"cb{seed}", records([seed * 3] * 5), seed=seed, intervention="drop")
    put(run, "cb2", records([7] * 5), seed=2, intervention="drop")
    (found,) = compare(run, "intervention", "none")
    assert (found.n, found.difference, found.n_unmatched) == (10, 1.0, 5)


def test_where_the_baseline_was_not_run_it_says_so(run: Results) -> None:
    put(run, "ca", records(range(5)), model="a")
    put(run, "cb", records(range(5)), model="b")
    put(run, "cc", records(range(5)), model="b", condition="cut")
    found = compare(run, "model", "a")
    assert (found[0].fixed["condition"], found[0].n, found[0].note) == ("cut", 0, "a was not run here")
    assert (found[1].n, found[1].p) == (5, 1.0)


def test_what_cannot_be_compared(run: Results) -> None:
    put(run, "ca", records(range(5)), model="a")
    with pytest.raises(UsageError, match=r"no model is called 'z'.*There are: a"):
        compare(run, "model", "z")
    with pytest.raises(UsageError, match="between 'colour'"):
        compare(run, "colour", "a")  # type: ignore[arg-type]
    put(run, "cb", [*records(range(5)), *records(range(5), prefix="k")], model="b")
    with pytest.raises(InputError, match="which is the partner"):
        compare(run, "model", "a")
    run.update_cell("cb", status="superseded")
    put(run, "cc", [{**r, "group": "other"} for r in records(range(5))], model="c")
    with pytest.raises(InputError, match="is in group 'g00' and in 'other'"):
        compare(run, "model", "a")
    run.update_cell("cc", status="superseded")
    put(run, "cd", records(range(5)), model="a", identity="{}")
    with pytest.raises(InputError, match="which one is meant"):
        compare(run, "model", "a")
