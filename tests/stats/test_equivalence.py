from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ttest_1samp

from otoscope.core.errors import UsageError
from otoscope.stats.equivalence import non_inferiority, tost


def test_equal_two_one_sided_t_tests() -> None:
    x = np.random.default_rng(0).normal(0.1, size=40)
    result = tost(x, (-0.5, 0.4))
    assert result.p_lower == pytest.approx(ttest_1samp(x, -0.5, alternative="greater").pvalue)
    assert result.p_upper == pytest.approx(ttest_1samp(x, 0.4, alternative="less").pvalue)
    assert result.p_value == max(result.p_lower, result.p_upper)
    interval = ttest_1samp(x, 0).confidence_interval(0.9)
    assert (result.low, result.high) == pytest.approx((interval.low, interval.high))


def test_groups_count_once() -> None:
    rng = np.random.default_rng(1)
    groups = np.repeat(np.arange(12), rng.integers(1, 6, 12))
    x = rng.normal(size=len(groups))
    means = np.array([x[groups == g].mean() for g in range(12)])
    grouped, plain = tost(x, 1.0, groups), tost(means, 1.0)
    assert grouped.p_value == pytest.approx(plain.p_value)
    assert (grouped.n, grouped.n_groups) == (len(x), 12)


@given(seed=st.integers(0, 200), margin=st.floats(0.05, 2))
@settings(max_examples=50, deadline=None, derandomize=True)
def test_equivalence_is_the_interval_inside_the_margin(seed: int, margin: float) -> None:
    x = np.random.default_rng(seed).normal(0.2, size=15)
    result = tost(x, margin)
    assert result.equivalent == (-margin < result.low and result.high < margin)
    assert result.equivalent == (margin > result.smallest_margin)
    mirrored = tost(-x, margin)
    assert (mirrored.p_lower, mirrored.p_upper) == pytest.approx((result.p_upper, result.p_lower))


def test_error_rate_at_the_edge_of_the_margin() -> None:
    x = np.random.default_rng(2).normal(1.0, 0.5, size=(1000, 25))
    rate = np.mean([tost(row, 1.0).equivalent for row in x])
    assert rate == pytest.approx(0.05, abs=0.02)


def test_non_inferiority_is_one_side_of_it() -> None:
    x = np.random.default_rng(3).normal(-0.1, size=50)
    result = non_inferiority(x, 0.5)
    assert result.p_value == pytest.approx(ttest_1samp(x, -0.5, alternative="greater").pvalue)
    assert result.bound == pytest.approx(ttest_1samp(x, 0, alternative="greater").confidence_interval(0.95).low)
    assert result.non_inferior == (result.bound > -0.5)
    errors = non_inferiority(-x, 0.5, higher_is_better=False)
    assert errors.p_value == pytest.approx(result.p_value)
    assert errors.bound == pytest.approx(-result.bound)


def test_constant_and_missing_data() -> None:
    inside, edge = tost([0.3] * 5, 1.0), tost([1.0] * 5, 1.0)
    assert (inside.equivalent, inside.p_value, inside.smallest_margin) == (True, 0.0, 0.3)
    assert (edge.equivalent, edge.p_value) == (False, 1.0)
    assert "equal" in inside.note
    assert tost([0.1, 0.2, np.nan, 0.3], 1.0).n_undefined == 1
    for values, groups in (([np.nan], None), ([0.1, 0.2], ["a", "a"])):
        nothing = tost(values, 1.0, groups)
        assert not nothing.equivalent
        assert math.isnan(nothing.p_value)
        assert nothing.note
        assert not non_inferiority(values, 1.0, groups).non_inferior


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(UsageError, match="empty"):
        tost([1.0, 2.0], -1.0)
    with pytest.raises(UsageError, match="not positive"):
        non_inferiority([1.0, 2.0], 0.0)
    with pytest.raises(UsageError, match="alpha"):
        tost([1.0, 2.0], 1.0, alpha=0.5)
