from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from otoscope.core.errors import InputError, UsageError
from otoscope.stats.bootstrap import Interval, cluster_bootstrap, mean_intervals, resample_groups


@pytest.mark.parametrize(("method", "theirs"), [("bca", "BCa"), ("percentile", "percentile")])
def test_single_item_groups_equal_scipy_draw_for_draw(method: str, theirs: str) -> None:
    x = np.random.default_rng(0).exponential(size=40)
    for name, statistic in (("mean", np.mean), (lambda v: float(np.median(v)), np.median)):
        ours = cluster_bootstrap(x, None, name, n_resamples=999, method=method, expand=False, seed=5)
        expected = stats.bootstrap(
            (x,), statistic, n_resamples=999, method=theirs, rng=np.random.default_rng(5)
        ).confidence_interval
        assert (ours.low, ours.high) == pytest.approx((expected.low, expected.high), rel=1e-9)


def test_clusters_equal_scipy_over_group_means_where_groups_are_balanced() -> None:
    rng = np.random.default_rng(1)
    table = rng.exponential(size=(30, 4))
    ours = cluster_bootstrap(table.ravel(), np.repeat(np.arange(30), 4), expand=False, seed=9)
    expected = stats.bootstrap((table.mean(axis=1),), np.mean, n_resamples=2000, rng=np.random.default_rng(9))
    interval = expected.confidence_interval
    assert (ours.low, ours.high) == pytest.approx((interval.low, interval.high), rel=1e-9)
    assert (ours.n, ours.n_groups, ours.within_groups) == (120, 30, False)


@pytest.mark.parametrize("n_groups", [6, 25])
def test_the_fast_mean_equals_the_general_path(n_groups: int) -> None:
    rng = np.random.default_rng(2)
    groups = np.concatenate([np.arange(n_groups), rng.integers(0, n_groups, 60)])
    x = rng.exponential(size=len(groups))
    fast = cluster_bootstrap(x, groups, "mean", n_resamples=400, seed=3)
    general = cluster_bootstrap(x, groups, lambda v: float(v.mean()), n_resamples=400, seed=3)
    assert fast.low == pytest.approx(general.low, rel=1e-9)
    assert fast.high == pytest.approx(general.high, rel=1e-9)
    assert (fast.note, fast.within_groups) == (general.note, n_groups == 6)


def test_a_caller_can_rebuild_the_draws() -> None:
    rng = np.random.default_rng(3)
    groups, x = np.arange(60) // 2, rng.normal(size=60)
    means = [x[rows].mean() for rows in resample_groups(groups, 500, seed=4)]
    interval = cluster_bootstrap(x, groups, n_resamples=500, method="percentile", expand=False, seed=4)
    np.testing.assert_allclose(np.quantile(means, [0.025, 0.975]), [interval.low, interval.high])


def test_many_rows_equal_one_at_a_time_also_with_missing_values() -> None:
    rng = np.random.default_rng(4)
    table, groups = rng.normal(size=(12, 80)), np.arange(80) // 3
    table[3, :5] = table[4, :5] = table[7, 70:] = np.nan
    table[9] = np.nan
    for row, many in zip(table, mean_intervals(table, groups, n_resamples=300, seed=6), strict=True):
        one = cluster_bootstrap(row, groups, n_resamples=300, seed=6)
        assert dataclasses.replace(one, value=0, low=0, high=0) == dataclasses.replace(many, value=0, low=0, high=0)
        np.testing.assert_allclose([one.value, one.low, one.high], [many.value, many.low, many.high])


def test_undefined_values_are_left_out_and_counted() -> None:
    x = np.array([1.0, np.nan, 3.0, 4.0, np.nan, 2.0])
    interval = cluster_bootstrap(x, None, seed=0)
    full = cluster_bootstrap(x[~np.isnan(x)], None, seed=0)
    assert (interval.value, interval.low, interval.high) == (full.value, full.low, full.high)
    assert (interval.n, interval.n_undefined, interval.coverage) == (4, 2, pytest.approx(4 / 6))
    nothing = cluster_bootstrap([np.nan, np.nan], None, seed=0)
    assert math.isnan(nothing.value)
    assert math.isnan(nothing.low)
    assert (nothing.n, nothing.coverage, nothing.note) == (0, 0.0, "no defined value")


@pytest.mark.parametrize("statistic", ["mean", lambda v: float(np.mean(v))])
def test_constant_data_have_a_point_as_interval(statistic: object) -> None:
    groups = np.repeat(np.arange(23), np.arange(23) % 5 + 1)
    interval = cluster_bootstrap(np.full(len(groups), 0.1), groups, statistic, n_resamples=200, seed=0)  # type: ignore[arg-type]
    assert interval.low == interval.high == interval.value == pytest.approx(0.1, abs=1e-15)
    assert interval.method == "percentile"
    assert "all resamples are equal" in interval.note


def test_one_item_has_no_interval() -> None:
    for statistic in ("mean", lambda v: float(v[0])):
        interval = cluster_bootstrap([2.0], None, statistic, seed=0)  # type: ignore[arg-type]
        assert interval.value == 2.0
        assert math.isnan(interval.low)
        assert math.isnan(interval.high)
        assert "single item" in interval.note


def test_bca_on_one_side_falls_back_and_says_so() -> None:
    x = np.arange(30.0)
    interval = cluster_bootstrap(x, None, lambda v: float(v.max()), n_resamples=500, seed=0)
    assert (interval.method, interval.high) == ("bca", 29.0)  # ties at the maximum keep the bias finite
    one_sided = cluster_bootstrap(x, None, lambda v: len(np.unique(v)) / len(v), n_resamples=500, seed=0)
    assert one_sided.method == "percentile"
    assert "one side" in one_sided.note


def test_undefined_resamples_are_named_and_too_many_leave_no_interval() -> None:
    rows = np.stack([np.arange(30.0), (np.arange(30) < 3).astype(float)], axis=1)

    def mean_of_marked(v: np.ndarray) -> float:
        marked = v[:, 1] == 1
        return float(v[marked, 0].mean()) if marked.any() else float("nan")

    interval = cluster_bootstrap(rows, None, mean_of_marked, n_resamples=500, seed=0)
    assert 0 < interval.n_undefined_resamples < 60
    assert f"{interval.n_undefined_resamples} of 500 resamples undefined" in interval.note
    assert interval.low <= interval.value <= interval.high
    hopeless = cluster_bootstrap(rows, None, lambda v: 1.0 if (v == rows).all() else float("nan"), seed=0)
    assert math.isnan(hopeless.low)
    assert "no interval" in hopeless.note


def test_groups_decide_and_the_note_says_which() -> None:
    x = np.random.default_rng(5).normal(size=60)
    few = cluster_bootstrap(x, np.arange(60) % 19, seed=0)
    enough = cluster_bootstrap(x, np.arange(60) % 20, seed=0)
    assert few.within_groups
    assert "19 groups (fewer than 20)" in few.note
    assert not enough.within_groups
    assert enough.note == ""


def _coverage(intervals: list[Interval], truth: float) -> float:
    return float(np.mean([i.low <= truth <= i.high for i in intervals]))


@pytest.mark.parametrize("n_groups", [20, 60])
@pytest.mark.parametrize("method", ["bca", "percentile"])
def test_coverage_of_means_is_nominal(n_groups: int, method: str) -> None:
    rng = np.random.default_rng(n_groups)
    x = rng.normal(size=(3000, n_groups))
    assert 0.93 <= _coverage(mean_intervals(x, None, method=method, n_resamples=1000, seed=1), 0.0) <= 0.97
    skewed = rng.gamma(2.0, size=(3000, n_groups))
    assert 0.92 <= _coverage(mean_intervals(skewed, None, method=method, n_resamples=1000, seed=1), 2.0) <= 0.97


def test_clusters_are_covered_where_a_bootstrap_over_items_is_not() -> None:
    rng = np.random.default_rng(6)
    groups = np.repeat(np.arange(24), rng.integers(1, 9, 24))
    x = rng.normal(size=(2000, 24))[:, groups] + rng.normal(size=(2000, len(groups)))
    assert 0.93 <= _coverage(mean_intervals(x, groups, n_resamples=1000, seed=2), 0.0) <= 0.97
    assert _coverage(mean_intervals(x, None, n_resamples=1000, seed=2), 0.0) < 0.85


@pytest.mark.parametrize(("n_groups", "size"), [(1, 40), (8, 3)])
def test_items_within_few_groups_are_covered_for_those_groups(n_groups: int, size: int) -> None:
    rng = np.random.default_rng(7)
    centres = np.linspace(-3, 3, n_groups) if n_groups > 1 else np.zeros(1)
    groups = np.repeat(np.arange(n_groups), size)
    x = centres[groups] + rng.normal(size=(2000, len(groups)))
    assert 0.93 <= _coverage(mean_intervals(x, groups, n_resamples=1000, seed=3), 0.0) <= 0.97


@given(shift=st.floats(-100, 100), scale=st.floats(0.01, 100), seed=st.integers(0, 50))
@settings(max_examples=25, deadline=None, derandomize=True)
def test_means_move_and_scale_with_the_data(shift: float, scale: float, seed: int) -> None:
    x = np.random.default_rng(seed).normal(size=30)
    base = cluster_bootstrap(x, None, n_resamples=200, seed=1)
    moved = cluster_bootstrap(shift + scale * x, None, n_resamples=200, seed=1)
    expected = [shift + scale * v for v in (base.value, base.low, base.high)]
    np.testing.assert_allclose([moved.value, moved.low, moved.high], expected, atol=1e-6 * (abs(shift) + scale))
    mirrored = cluster_bootstrap(-x, None, n_resamples=200, seed=1)
    np.testing.assert_allclose([mirrored.low, mirrored.high], [-base.high, -base.low], atol=1e-9)
    assert base.low <= base.high


@given(order=st.permutations(range(40)))
@settings(max_examples=20, deadline=None, derandomize=True)
def test_the_order_of_rows_does_not_matter(order: list[int]) -> None:
    x, groups = np.random.default_rng(0).normal(size=40), np.arange(40) % 21
    base = cluster_bootstrap(x, groups, n_resamples=200, seed=1)
    shuffled = cluster_bootstrap(x[order], groups[order], n_resamples=200, seed=1)
    np.testing.assert_allclose([base.low, base.high], [shuffled.low, shuffled.high], rtol=1e-9)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"values": [1.0, np.inf]}, InputError, "infinite"),
        ({"values": [[1.0], [2.0]]}, InputError, "mean_intervals"),
        ({"values": ["a", "b"]}, InputError, "not numbers"),
        ({"values": [], "groups": None}, InputError, "no items"),
        ({"statistic": "median"}, UsageError, "'median' does not exist"),
        ({"method": "bc"}, UsageError, "Use one of: bca, percentile"),
        ({"level": 1.0}, UsageError, "between 0 and 1"),
        ({"n_resamples": 39}, UsageError, "at least 40"),
    ],
)
def test_wrong_arguments_are_refused(change: dict[str, object], error: type[Exception], words: str) -> None:
    arguments: dict[str, object] = {"values": [1.0, 2.0], "groups": [0, 1], "seed": 0} | change
    with pytest.raises(error, match=words):
        cluster_bootstrap(**arguments)  # type: ignore[arg-type]
