"""Scores against hand computation: values, intervals, coverage, and nothing non-finite."""

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from otoscope.core.errors import InputError
from otoscope.results.cells import Cell
from otoscope.results.columns import Columns
from otoscope.results.ofmeans import OfMeans
from otoscope.results.quantiles import quantile_intervals
from otoscope.results.schema import WHOLE_ITEM, row_table
from otoscope.results.scoring import Estimate, Measure, Quantile, Score, dumps, score_cell
from otoscope.stats.bootstrap import cluster_bootstrap

CELL = Cell("aa", "a", "toy", "intact", "model", "none", 3, "{}")


def row(
    item: str,
    metric: str,
    value: float | None,
    factors: Mapping[str, Any] | None = None,
    status: str = "ok",
    group: str = "",
) -> dict[str, Any]:
    note = None if status in ("ok", "unparsed") else "why"
    return {
        "item": item, "base_id": "b" + item, "group": group or item, "metric": metric, "value": value,
        "factors": factors or {}, "status": status, "note": note,
    }  # fmt: skip


def table(records: list[dict[str, Any]]) -> pa.Table:
    return row_table("aa", 0, 0, records)


def score(records: list[dict[str, Any]], *measures: Measure, n_resamples: int = 200, seed: int = 1) -> list[Score]:
    return score_cell(table(records), measures, cell=CELL, seed=seed, n_resamples=n_resamples)


def normal(n: int = 60, groups: int = 30) -> list[dict[str, Any]]:
    rng = np.random.default_rng(5)
    return [
        row(f"{f}/{i:02d}", m, float(rng.normal()), {"f": f, "side": "left"}, group=f"g{i % groups:02d}")
        for f in (500, 1000, 250)
        for i in range(n)
        for m in ("x", "y")
    ]


def test_a_mean_with_its_interval_per_factor() -> None:
    records = normal()
    scores = score(records, Measure("mean_x", ("f",), ("x",)))
    assert [s.factors for s in scores] == [{"f": 250}, {"f": 500}, {"f": 1000}]
    for s in scores:
        mine = [r for r in records if r["metric"] == "x" and r["factors"]["f"] == s.factors["f"]]
        values = np.array([r["value"] for r in mine])
        groups = np.array([r["group"] for r in mine])
        order = np.argsort(groups, kind="stable")
        expected = cluster_bootstrap(values[order], groups[order], "mean", n_resamples=200, seed=1)
        assert s.value == pytest.approx(values.mean(), abs=1e-12)
        assert (s.ci_low, s.ci_high) == pytest.approx((expected.low, expected.high), abs=1e-12)
        assert (s.n, s.n_groups, s.n_failed, s.n_undefined, s.status) == (60, 30, 0, 0, "ok")
        assert (s.task, s.condition, s.model, s.intervention, s.seed, s.cell) == (
            "toy",
            "intact",
            "model",
            "none",
            3,
            "aa",
        )


def test_the_order_of_rows_does_not_matter() -> None:
    measures = [
        Measure("a", ("f",), ("x",)),
        Measure("b", (), ("x",), "median"),
        Measure("c", ("side",), ("x", "y"), lambda c: float(np.corrcoef(c["x"], c["y"])[0, 1])),
    ]
    for groups in (30, 4):  # with few groups items are drawn within groups
        records = normal(groups=groups)
        shuffled = [records[i] for i in np.random.default_rng(0).permutation(len(records))]
        assert score(shuffled, *measures) == score(records, *measures)


def test_coverage_counts_every_item_once() -> None:
    records = [
        row("a", "x", 1.0, {"f": 1, "layer": 0}),
        row("b", "x", 0.0, {"f": 1, "layer": 0}, status="unparsed"),
        row("c", "x", None, {"f": 1, "layer": 0}, status="undefined"),
        row("d", WHOLE_ITEM, None, {"f": 1}, status="failed"),
        row("e", "x", None, {"f": 1, "layer": 0}, status="failed"),
        row("g", WHOLE_ITEM, None, {"f": 2}, status="failed"),
        row("h", "y", None, {"f": 1, "layer": 0}, status="failed"),  # another metric broke
        row("h", WHOLE_ITEM, None, {"f": 1}, status="failed"),  # and so did its readout
        row("h", "x", 2.0, {"f": 1, "layer": 0}),
        row("i", WHOLE_ITEM, None, {"f": 1, "layer": 0}),  # kept for a readout
    ]
    one, two = score(records, Measure("m", ("f", "layer"), ("x",)))
    assert one.factors == {"f": 1, "layer": 0}
    assert (one.value, one.n, one.n_groups) == (1.0, 3, 3)
    assert (one.n_failed, one.n_undefined, one.n_unparsed, one.status) == (2, 1, 1, "ok")
    assert two.factors == {"f": 2}
    assert (two.value, two.ci_low, two.n, two.n_failed, two.status) == (None, None, 0, 1, "empty")


def test_a_whole_item_failure_counts_in_every_combination_it_agrees_with() -> None:
    records = [row("a", "x", 1.0, {"f": f, "layer": k}) for f in (1, 2) for k in (0, 1)]
    records.append(row("z", WHOLE_ITEM, None, {"f": 2}, status="failed"))
    scores = score(records, Measure("m", ("f", "layer"), ("x",)))
    assert {(s.factors["f"], s.factors["layer"]): s.n_failed for s in scores} == {
        (1, 0): 0,
        (1, 1): 0,
        (2, 0): 1,
        (2, 1): 1,
    }


def test_an_observation_needs_all_columns() -> None:
    records = [row(i, m, 4.0 if m == "x" else 2.0) for i in "abc" for m in ("x", "y")]
    records += [row("d", "x", 100.0), row("e", "x", 100.0), row("e", "y", None, status="undefined")]
    (s,) = score(records, Measure("ratio", (), ("x", "y"), lambda c: c["x"].sum() / c["y"].sum()))
    assert (s.value, s.n, s.n_undefined) == (2.0, 3, 2)


def test_a_callable_sees_metrics_factors_and_groups() -> None:
    records = [
        row(f"i{k}", "x", float(k), {"k": k, "h": k / 2, "odd": k % 2 == 1, "name": f"n{k}"}, group=f"g{k % 2}")
        for k in range(4)
    ]
    records += [row("i9", "x", 9.0, {"k": 9, "name": "n9"}, group="g1")]
    seen: list[Columns] = []

    def look(c: Columns) -> float:
        seen.append(c)
        return float(c["x"].mean())

    (s,) = score(records, Measure("m", (), ("x",), look))
    c = seen[0]
    assert (c.n, sorted(c), len(c)) == (5, ["h", "k", "name", "odd", "x"], 5)
    assert c["k"].tolist() == [0, 1, 2, 3, 9]
    assert c["k"].dtype == np.int64
    assert np.isnan(c["h"][4])
    assert c["odd"].tolist() == [False, True, False, True, None]
    assert c["name"].tolist() == ["n0", "n1", "n2", "n3", "n9"]
    assert c.groups.tolist() == [0, 1, 0, 1, 1]
    assert c.item_ids.tolist() == ["i0", "i1", "i2", "i3", "i9"]
    assert c.base_ids[0] == "bi0"
    drawn = c.take(np.array([4, 4, 0])).take(np.array([2, 1]))
    assert (drawn["x"].tolist(), drawn["name"].tolist(), drawn.groups.tolist()) == ([0.0, 9.0], ["n0", "n9"], [0, 1])
    with pytest.raises(KeyError):
        c["colour"]
    assert all(set(d.groups.tolist()) <= {0, 1} for d in seen)
    assert "within groups" in (s.note or "")


@pytest.mark.parametrize("answer", [math.nan, math.inf, None, (math.nan, "<")])
def test_what_is_not_finite_is_null_with_a_reason(answer: Any) -> None:
    (s,) = score(normal(), Measure("m", (), ("x",), lambda c: answer))
    assert (s.value, s.ci_low, s.ci_high, s.bound, s.status, s.n) == (None, None, None, None, "undefined", 180)
    assert s.note == "the statistic is undefined"
    with pytest.raises(ValueError, match="use None"):
        Score("t", "c", "m", "i", "x", value=math.nan)


def test_a_draw_without_a_value_is_counted_in_the_note() -> None:
    records = [row(f"{i:02d}", "x", float(i == 0)) for i in range(30)]
    (s,) = score(records, Measure("m", (), ("x",), lambda c: 1.0 / c["x"].sum() if c["x"].any() else math.inf))
    assert s.value == 1.0
    assert "resamples undefined" in (s.note or "")
    assert s.ci_low is not None
    assert math.isfinite(s.ci_low)


def test_bounds_are_kept_and_counted() -> None:
    def at_most(limit: float) -> Measure:
        return Measure("m", (), ("x",), lambda c: (limit, ">") if c["x"].mean() > limit else (c["x"].mean(), None))

    inside, outside = score(normal(), at_most(9.0), at_most(-9.0))
    assert (inside.bound, inside.note) == (None, None)
    assert (outside.value, outside.bound, outside.ci_high) == (-9.0, ">", -9.0)
    assert "are bounds" in (outside.note or "")
    with pytest.raises(ValueError, match="a bound is"):
        score(normal(), Measure("m", (), ("x",), lambda c: (1.0, "<=")))


def test_a_measure_may_bring_its_own_interval() -> None:
    own = Measure(
        "m", ("f",), ("x",), lambda c: Estimate(1.0, -math.inf, 2.0, "<", "fitted jointly"), gives_interval=True
    )
    s = score(normal(), own)[0]
    assert (s.value, s.ci_low, s.ci_high, s.bound, s.note, s.n_groups) == (1.0, None, 2.0, "<", "fitted jointly", 30)
    with pytest.raises(TypeError, match="must return an Estimate"):
        score(normal(), Measure("m", (), ("x",), lambda c: 1.0, gives_interval=True))


def test_no_rows_give_one_empty_score_per_measure() -> None:
    scores = score([], Measure("m", ("f",), ("x",)), Measure("k", (), ("x",), "median"))
    assert [(s.metric, s.value, s.n, s.status) for s in scores] == [("m", None, 0, "empty"), ("k", None, 0, "empty")]


def test_a_single_item_has_a_value_and_no_interval() -> None:
    mean, median = score([row("a", "x", 2.0)], Measure("m", (), ("x",)), Measure("k", (), ("x",), "median"))
    for s in (mean, median):
        assert (s.value, s.ci_low, s.ci_high, s.n, s.n_groups) == (2.0, None, None, 1, 1)
        assert "single item" in (s.note or "")


def test_contradictory_rows_are_refused() -> None:
    with pytest.raises(InputError, match="two rows of metric 'x'"):
        score([row("a", "x", 1.0), row("a", "x", 2.0)], Measure("m", (), ("x",)))
    with pytest.raises(InputError, match="name of a metric and of a factor"):
        score([row("a", "x", 1.0, {"x": 1})], Measure("m", (), ("x",), lambda c: 1.0))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((("x", "y"), "mean"), "one column"), (((), "mean"), "needs a column"), ((("x",), "mode"), "no statistic 'mode'")],
)
def test_a_measure_that_makes_no_sense_is_refused(arguments: tuple[Any, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Measure("m", (), *arguments)


@pytest.mark.parametrize("q", [0.5, 0.9, 0.0, 1.0])
@pytest.mark.parametrize("n_groups", [40, 25, 6])
def test_quantiles_of_many_draws_equal_one_at_a_time(n_groups: int, q: float) -> None:
    rng = np.random.default_rng(2)
    values, groups = rng.normal(size=(3, 41)), np.sort(rng.integers(0, n_groups, 41))
    values[2] = np.round(values[2])  # ties
    many = quantile_intervals(values, groups, q, n_resamples=300, level=0.9, seed=4)
    for row_values, interval in zip(values, many, strict=True):
        one = cluster_bootstrap(
            row_values, groups, lambda v: float(np.quantile(v, q)), n_resamples=300, level=0.9, seed=4,
            method="percentile",
        )  # fmt: skip
        assert (interval.value, interval.low, interval.high) == pytest.approx((one.value, one.low, one.high), rel=1e-12)
        assert (interval.method, interval.note) == (one.method, one.note)


def test_a_quantile_is_a_statistic() -> None:
    records = [row(f"{i:02d}", "x", float(i)) for i in range(11)]
    found = {
        m.metric: s
        for m in (Measure("a", (), ("x",), Quantile(0.9)), Measure("b", (), ("x",), Quantile(0.5)),
                  Measure("c", (), ("x",), "median"))
        for s in score(records, m)
    }  # fmt: skip
    assert found["a"].value == 9.0
    assert (found["b"].value, found["b"].ci_low, found["b"].ci_high) == (
        found["c"].value, found["c"].ci_low, found["c"].ci_high,
    )  # fmt: skip
    assert found["a"].ci_low < 9.0 <= found["a"].ci_high
    with pytest.raises(ValueError, match="between 0 and 1"):
        Quantile(90)
    with pytest.raises(ValueError, match="one column"):
        Measure("m", (), ("x", "y"), Quantile(0.9))


@pytest.mark.parametrize("groups", [30, 4])
def test_functions_of_means_equal_one_draw_at_a_time(groups: int) -> None:
    terms = (lambda c: c["x"] ** 2, lambda c: c["y"] ** 2)
    fast = Measure("m", ("f",), ("x", "y"), OfMeans(terms, lambda x, y: np.sqrt(x / y)))
    slow = Measure("m", ("f",), ("x", "y"), lambda c: np.sqrt(np.mean(c["x"] ** 2) / np.mean(c["y"] ** 2)))
    records = normal(groups=groups)[:-7]  # groups of unequal size
    for a, b in zip(score(records, fast), score(records, slow), strict=True):
        assert (a.value, a.ci_low, a.ci_high) == pytest.approx((b.value, b.ci_low, b.ci_high), rel=1e-9)
        assert (a.n, a.n_groups, a.note, a.status) == (b.n, b.n_groups, b.note, b.status)


def test_functions_of_means_may_be_undefined() -> None:
    records = [row(f"{i:02d}", "x", float(i == 0)) for i in range(30)]
    often = Measure("m", (), ("x",), OfMeans((lambda c: c["x"],), lambda x: 1.0 / x))
    never = Measure("k", (), ("x",), OfMeans((lambda c: c["x"],), lambda x: np.log(x - 1.0)))
    a, b = score(records, often, never)
    assert a.value == pytest.approx(30.0)
    assert "resamples undefined" in (a.note or "")
    assert (b.value, b.ci_low, b.status, b.note) == (None, None, "undefined", "the statistic is undefined")
    with pytest.raises(ValueError, match="combine gave shape"):
        score(records, Measure("m", (), ("x",), OfMeans((lambda c: c["x"],), lambda x: x.mean())))


def test_a_measure_may_name_factors_of_its_own() -> None:
    measures = [Measure("m", ("f",), (x,), factors={"side": "both"}) for x in ("x", "z")]
    assert [s.factors for s in score(normal(), *measures)] == [
        {"f": 250, "side": "both"},
        {"f": 500, "side": "both"},
        {"f": 1000, "side": "both"},
        {"side": "both"},
    ]


def test_json_is_strict_and_stable() -> None:
    records = [*normal(), row("späte", WHOLE_ITEM, None, {"f": 8000, "side": "left"}, status="failed")]
    scores = score(records, Measure("mean_x", ("f", "side"), ("x",)), Measure("none", (), ("x",), lambda c: None))
    text = dumps(scores)

    def refuse(word: str) -> float:
        raise AssertionError(f"{word} is not JSON")

    read = json.loads(text, parse_constant=refuse)
    assert len(read) == len(text.splitlines()) - 2 == 5
    assert list(read[0])[:12] == [
        "task", "condition", "model", "intervention", "metric", "factors",
        "value", "ci_low", "ci_high", "n", "n_groups", "n_failed",
    ]  # fmt: skip
    assert read[0]["factors"] == {"f": 250, "side": "left"}
    assert read[3] | {"seed": 0} == {
        "task": "toy", "condition": "intact", "model": "model", "intervention": "none", "metric": "mean_x",
        "factors": {"f": 8000, "side": "left"}, "value": None, "ci_low": None, "ci_high": None, "n": 0, "n_groups": 0,
        "n_failed": 1, "n_undefined": 0, "n_unparsed": 0, "n_in_training": 0, "bound": None, "note": None,
        "status": "empty", "seed": 0, "cell": "aa",
    }  # fmt: skip
    assert (
        dumps(score(records, Measure("mean_x", ("f", "side"), ("x",)), Measure("none", (), ("x",), lambda c: None)))
        == text
    )
    assert dumps([]) == "[]"
