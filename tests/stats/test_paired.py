from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otoscope.core.errors import InputError
from otoscope.stats.bootstrap import mean_intervals
from otoscope.stats.paired import hedges_dz, paired_comparison
from otoscope.stats.permutation import sign_flip
from otoscope.stats.power import smallest_detectable_effect


def test_parts_agree_with_their_own_functions() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(0.4, size=40), rng.normal(size=40)
    result = paired_comparison(a, b, seed=1)
    d = a - b
    assert result.mean_difference == pytest.approx(d.mean())
    interval = mean_intervals(d[None], None, seed=np.random.SeedSequence(1, spawn_key=(0,)))[0]
    assert (result.ci_low, result.ci_high) == (interval.low, interval.high)
    assert result.p_value == sign_flip(d, seed=np.random.SeedSequence(1, spawn_key=(1,))).p_value
    assert result.win_rate == (d > 0).mean()
    assert result.smallest_detectable == pytest.approx(smallest_detectable_effect(40, d.std(ddof=1)))
    assert "Hedges" in result.effect_size_kind
    assert (result.n, result.n_groups) == (40, 40)


def test_hedges_correction_removes_the_bias() -> None:
    x = np.random.default_rng(1).normal(0.8, size=(40_000, 6))
    raw = x.mean(axis=1) / x.std(axis=1, ddof=1)
    ours = np.array([hedges_dz(row) for row in x[:20_000]])
    assert raw.mean() > 0.9
    assert ours.mean() == pytest.approx(0.8, abs=0.015)
    # 1 - 3 / (4 df - 1) is Hedges' own approximation of the factor.
    assert ours[0] / raw[0] == pytest.approx(1 - 3 / (4 * 5 - 1), abs=3e-3)


def test_two_pairs_have_no_effect_size() -> None:
    assert np.isnan(hedges_dz(np.array([1.0, 2.0])))
    assert np.isfinite(hedges_dz(np.array([1.0, 2.0, 4.0])))


def test_groups_make_the_test_and_the_smallest_difference_honest() -> None:
    rng = np.random.default_rng(2)
    groups = np.repeat(np.arange(25), 8)
    a = rng.normal(size=25)[groups] + 0.2 * rng.normal(size=200)
    grouped, plain = paired_comparison(a, np.zeros(200), groups, seed=0), paired_comparison(a, np.zeros(200), seed=0)
    assert grouped.mean_difference == pytest.approx(plain.mean_difference)
    assert grouped.effect_size == pytest.approx(plain.effect_size)
    assert grouped.smallest_detectable > 2 * plain.smallest_detectable
    assert grouped.ci_high - grouped.ci_low > 2 * (plain.ci_high - plain.ci_low)
    spread = a.reshape(25, 8).mean(axis=1).std(ddof=1)
    assert grouped.smallest_detectable == pytest.approx(smallest_detectable_effect(25, spread))


def test_the_smallest_detectable_difference_is_found_as_often_as_promised() -> None:
    rng = np.random.default_rng(3)
    detectable = smallest_detectable_effect(30, 1.0)
    found = [
        sign_flip(row, seed=0, n_permutations=1000).p_value <= 0.05 for row in rng.normal(detectable, 1, (400, 30))
    ]
    assert np.mean(found) == pytest.approx(0.8, abs=0.05)


def test_ties_count_half_and_undefined_pairs_are_counted() -> None:
    result = paired_comparison([1, 2, 3, np.nan, 5], [1, 1, 4, 4, np.nan], seed=0)
    assert (result.n, result.n_undefined, result.n_ties) == (3, 2, 1)
    assert result.win_rate == pytest.approx(0.5)


def test_equal_data_show_no_difference_and_no_effect_size() -> None:
    same = paired_comparison(np.arange(30.0), np.arange(30.0), seed=0)
    assert (same.mean_difference, same.ci_low, same.ci_high, same.p_value) == (0.0, 0.0, 0.0, 1.0)
    assert (same.win_rate, same.n_ties, same.smallest_detectable) == (0.5, 30, 0.0)
    assert math.isnan(same.effect_size)
    nothing = paired_comparison([np.nan], [1.0], seed=0)
    assert all(math.isnan(v) for v in (nothing.mean_difference, nothing.p_value, nothing.win_rate, nothing.effect_size))


@given(seed=st.integers(0, 100))
@settings(max_examples=15, deadline=None, derandomize=True)
def test_swapping_the_two_mirrors_the_result(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b, groups = rng.normal(size=44), rng.normal(size=44), np.arange(44) // 2
    one = paired_comparison(a, b, groups, seed=1, n_resamples=200, n_permutations=200)
    two = paired_comparison(b, a, groups, seed=1, n_resamples=200, n_permutations=200)
    assert two.mean_difference == pytest.approx(-one.mean_difference)
    assert (two.ci_low, two.ci_high) == pytest.approx((-one.ci_high, -one.ci_low))
    assert (two.p_value, two.win_rate) == pytest.approx((one.p_value, 1 - one.win_rate))


def test_the_seed_sequence_of_the_caller_is_left_as_it_was() -> None:
    sequence = np.random.SeedSequence(4)
    first = paired_comparison(np.arange(25.0), np.zeros(25), seed=sequence)
    assert paired_comparison(np.arange(25.0), np.zeros(25), seed=sequence) == first
    assert sequence.n_children_spawned == 0


def test_unequal_lengths_are_refused() -> None:
    with pytest.raises(InputError, match="a has 2 values and b has 3"):
        paired_comparison([1, 2], [1, 2, 3], seed=0)
