from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otoscope.core.errors import InputError, UsageError
from otoscope.stats.bounds import Draws, bounded_interval
from otoscope.stats.grouping import resample_groups
from otoscope.stats.likelihood import Family
from otoscope.stats.psychometric import fit_psychometric
from otoscope.stats.thresholds import parametric_threshold_bootstrap, threshold_bootstrap

X = np.arange(-24.0, 1.0, 3.0)
FAMILY = Family(X, "norm", 0.5, 0.0, 0.06)


def _curve(location: float, width: float = 9.0, lapse: float = 0.02) -> tuple[np.ndarray, float]:
    """Proportions at X and the true threshold."""
    parameters = np.array([[location, math.log(width), lapse]])
    return FAMILY.proportions(parameters, X)[0][0], float(FAMILY.level_at(parameters, 0.794)[0])


def _trials(location: float, n: int, seed: int) -> np.ndarray:
    return (np.random.default_rng(seed).random((n, 9)) < _curve(location)[0]).astype(float)


def _draws(values: list[float], sides: list[int]) -> Draws:
    return Draws(np.array(values), np.array(sides, dtype=np.int8))


def test_draws_are_refits_of_jointly_resampled_groups() -> None:
    a, b = _trials(-12, 60, 0), _trials(-16, 60, 1)
    boot = threshold_bootstrap(X, {"a": a, "b": b}, n_resamples=50, seed=5)
    for i, rows in enumerate(resample_groups(np.arange(60), 50, seed=5)):
        for name, trials in (("a", a), ("b", b)):
            fit = fit_psychometric(X, trials[rows].sum(axis=0), 60)
            assert boot.draws[name].value[i] == pytest.approx(fit.threshold, abs=1e-6)
    assert boot.fits["a"] == fit_psychometric(X, a.sum(axis=0), 60)


def test_groups_of_rows_come_along_and_missing_trials_do_not_count() -> None:
    trials = _trials(-12, 50, 2)
    trials[:10, 0] = np.nan
    groups = np.arange(50) // 2
    boot = threshold_bootstrap(X, {"a": trials}, groups, n_resamples=40, seed=3)
    for i, rows in enumerate(resample_groups(groups, 40, seed=3)):
        drawn = trials[rows]
        fit = fit_psychometric(X, np.nansum(drawn, axis=0), (~np.isnan(drawn)).sum(axis=0))
        assert boot.draws["a"].value[i] == pytest.approx(fit.threshold, abs=1e-6)
    assert (boot.n_groups, boot.within_groups) == (25, False)
    assert threshold_bootstrap(X, {"a": trials}, np.arange(50) % 3, n_resamples=40, seed=3).within_groups


def test_coverage_of_thresholds_and_differences() -> None:
    (first, true_first), (second, true_second) = _curve(-10), _curve(-14)
    rng = np.random.default_rng(4)
    hits = np.zeros(2)
    for seed in range(100):
        luck = rng.random((100, 9))  # shared by the conditions, as a noise seed is
        own = rng.random((100, 9))
        shared = rng.random((100, 1)) < 0.5
        trials = {"a": (luck < first).astype(float), "b": (np.where(shared, luck, own) < second).astype(float)}
        boot = threshold_bootstrap(X, trials, n_resamples=200, seed=seed)
        for j, (interval, truth) in enumerate(
            [(boot.interval("a"), true_first), (boot.difference("a", "b"), true_first - true_second)]
        ):
            assert interval.low is not None
            assert interval.high is not None
            hits[j] += interval.low <= truth <= interval.high
    # 100 runs: two standard errors are 4 %.
    assert (hits / 100 > 0.90).all()


def test_what_conditions_share_cancels_in_their_difference() -> None:
    luck = np.random.default_rng(5).random((100, 9))
    trials = {"a": (luck < _curve(-10)[0]).astype(float), "b": (luck < _curve(-11)[0]).astype(float)}
    boot = threshold_bootstrap(X, trials, n_resamples=400, seed=0)
    difference, single = boot.difference("a", "b"), boot.interval("a")
    assert difference.value == pytest.approx(boot.fits["a"].threshold - boot.fits["b"].threshold)
    assert (difference.high or 0) - (difference.low or 0) < (single.high or 0) - (single.low or 0)


def test_a_condition_at_chance_gives_a_one_sided_difference() -> None:
    chance = (np.random.default_rng(6).random((100, 9)) < 0.5).astype(float)
    boot = threshold_bootstrap(X, {"deaf": chance, "hears": _trials(-12, 100, 7)}, n_resamples=200, seed=0)
    deaf = boot.interval("deaf")
    assert (deaf.value, deaf.bound, deaf.low, deaf.high) == (0.0, ">", 0.0, None)
    assert deaf.high_unbounded
    assert not deaf.low_unbounded
    assert deaf.share_above > 0.95
    benefit = boot.difference("deaf", "hears")
    assert benefit.bound == ">"
    assert benefit.value == pytest.approx(-boot.fits["hears"].threshold)
    assert benefit.low == pytest.approx(benefit.value, abs=2.0)
    assert benefit.high is None
    assert "unbounded" in benefit.note
    reverse = boot.difference("hears", "deaf")
    assert (reverse.bound, reverse.low, reverse.high) == ("<", None, pytest.approx(-benefit.low))


def test_an_end_is_missing_when_more_draws_than_the_tail_are_bounds() -> None:
    def interval(n_bounds: int) -> float | None:
        values = [float(v) for v in range(100)]
        sides = [0] * (100 - n_bounds) + [1] * n_bounds
        point = _draws([50.0], [0])
        result = bounded_interval(
            point, _draws(values, sides), level=0.9, tail=0.05, n_groups=100, within_groups=False, note=""
        )
        assert result.low == 4.0
        assert result.share_above == n_bounds / 100
        return result.high

    assert interval(0) == interval(4) == 95.0
    assert interval(6) is None


def test_bounds_subtract_as_intervals() -> None:
    a = _draws([1.0, 0.0, 9.0, 9.0, 0.0, math.nan], [0, -1, 1, 1, -1, 0])
    b = _draws([3.0, 3.0, 3.0, 9.0, 9.0, 3.0], [0, 0, 0, 1, 1, 0])
    difference = a.minus(b)
    np.testing.assert_equal(difference.value, [-2.0, -3.0, 6.0, math.nan, -9.0, math.nan])
    assert difference.side.tolist() == [0, -1, 1, 0, -1, 0]
    low, high = difference.ends()
    np.testing.assert_equal(low, [-2.0, -math.inf, 6.0, -math.inf, -math.inf, -math.inf])
    np.testing.assert_equal(high, [-2.0, -3.0, math.inf, math.inf, -9.0, math.inf])


@given(
    st.lists(st.tuples(st.floats(-20, 20), st.integers(-1, 1)), min_size=2, max_size=2),
    st.lists(st.floats(0, 30), min_size=2, max_size=2),
)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_the_true_difference_lies_between_the_ends(known: list[tuple[float, int]], beyond: list[float]) -> None:
    # Whatever the truth behind a bound, the difference's ends enclose it.
    draws = [_draws([value], [side]) for value, side in known]
    truth = [value + side * extra for (value, side), extra in zip(known, beyond, strict=True)]
    low, high = draws[0].minus(draws[1]).ends()
    assert low[0] - 1e-9 <= truth[0] - truth[1] <= high[0] + 1e-9


def test_parametric_draws_scatter_like_resampled_ones() -> None:
    trials = _trials(-12, 200, 8)
    resampled = threshold_bootstrap(X, {"a": trials}, n_resamples=300, seed=0).draws["a"]
    parametric = parametric_threshold_bootstrap(X, {"a": (trials.sum(axis=0), 200)}, n_resamples=300, seed=0)
    assert parametric.draws["a"].value.std() == pytest.approx(resampled.value.std(), rel=0.25)
    assert "parametric" in parametric.interval("a").note
    again = parametric_threshold_bootstrap(X, {"a": (trials.sum(axis=0), 200)}, n_resamples=300, seed=0)
    assert again.interval("a") == parametric.interval("a")


def test_conditions_may_have_their_own_levels() -> None:
    shifted = _trials(-12, 80, 9)
    boot = threshold_bootstrap({"a": X, "b": X + 10}, {"a": shifted, "b": shifted}, n_resamples=100, seed=0)
    difference = boot.difference("b", "a")
    assert difference.value == pytest.approx(10.0, abs=1e-4)
    assert (difference.low, difference.high) == pytest.approx((10.0, 10.0), abs=1e-2)


def test_wrong_arguments_are_refused() -> None:
    trials = _trials(-12, 30, 10)
    with pytest.raises(InputError, match="rows"):
        threshold_bootstrap(X, {"a": trials, "b": trials[:20]}, seed=0)
    with pytest.raises(InputError, match="8 levels, x has 9"):
        threshold_bootstrap(X, {"a": trials[:, :8]}, seed=0)
    with pytest.raises(InputError, match="outside 0 to 1"):
        threshold_bootstrap(X, {"a": trials + 1}, seed=0)
    with pytest.raises(InputError, match="no trials"):
        threshold_bootstrap(X, {"a": np.where(X[0] == X, np.nan, trials)}, seed=0)
    with pytest.raises(InputError, match="no conditions"):
        threshold_bootstrap(X, {}, seed=0)
    with pytest.raises(InputError, match="'b' has no levels"):
        threshold_bootstrap({"a": X}, {"a": trials, "b": trials}, seed=0)
    with pytest.raises(UsageError, match="resamples"):
        threshold_bootstrap(X, {"a": trials}, n_resamples=10, seed=0)
    with pytest.raises(InputError, match="Conditions: a"):
        threshold_bootstrap(X, {"a": trials}, n_resamples=40, seed=0).difference("a", "c")
    with pytest.raises(InputError, match="whole numbers"):
        parametric_threshold_bootstrap(X, {"a": (trials.sum(axis=0), 30.5)}, seed=0)
