from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from otoscope.core.errors import UsageError
from otoscope.stats.permutation import sign_flip, sign_flip_many


@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
def test_enumeration_equals_scipy(alternative: str) -> None:
    rng = np.random.default_rng(0)
    for n in (4, 9, 12):
        x = rng.normal(0.4, size=n).round(1)  # rounded, so that sums tie
        expected = stats.permutation_test(
            (x,), np.mean, permutation_type="samples", n_resamples=np.inf, alternative=alternative
        )
        ours = sign_flip(x, seed=0, alternative=alternative)
        assert (ours.exact, ours.n_permutations) == (True, 2**n)
        assert ours.p_value == pytest.approx(expected.pvalue, rel=1e-12)
        assert ours.statistic == pytest.approx(x.mean())


def test_random_signs_agree_with_enumeration_and_scipy() -> None:
    x = np.random.default_rng(1).normal(0.35, size=14)
    exact = sign_flip(x, seed=0, n_permutations=2**14)
    drawn = sign_flip(x, seed=0, n_permutations=2**14 - 1)
    assert exact.exact
    assert not drawn.exact
    assert drawn.p_value == pytest.approx(exact.p_value, abs=4 * math.sqrt(exact.p_value / 2**14))
    assert drawn.p_value * 2**14 == pytest.approx(round(drawn.p_value * 2**14))  # (1 + #) / (1 + B)


def test_p_is_never_zero() -> None:
    x = np.full(40, 3.0)
    assert sign_flip(x, seed=0, n_permutations=999).p_value == pytest.approx(1 / 1000)
    assert sign_flip(-x, seed=0, n_permutations=999, alternative="greater").p_value == 1.0


def test_groups_flip_together() -> None:
    rng = np.random.default_rng(2)
    groups = np.repeat(np.arange(8), 3)
    x = rng.normal(0.5, size=24)
    grouped = sign_flip(x, groups, seed=0)
    by_group = sign_flip(x.reshape(8, 3).mean(axis=1), seed=0)
    assert (grouped.n, grouped.n_groups, grouped.n_permutations) == (24, 8, 256)
    assert grouped.p_value == by_group.p_value


@pytest.mark.parametrize("groups", [None, np.arange(40) // 2])
def test_p_is_uniform_under_symmetric_noise(groups: np.ndarray | None) -> None:
    noise = np.random.default_rng(3).laplace(size=(1500, 40))
    p = np.array([t.p_value for t in sign_flip_many(noise, groups, n_permutations=2000, seed=4)])
    assert stats.kstest(p, "uniform").pvalue > 0.01


def test_ignoring_groups_would_reject_too_often() -> None:
    rng = np.random.default_rng(5)
    groups = np.repeat(np.arange(20), 5)
    x = rng.normal(size=(600, 20))[:, groups] + 0.3 * rng.normal(size=(600, 100))
    right = np.mean([t.p_value <= 0.05 for t in sign_flip_many(x, groups, n_permutations=1000, seed=1)])
    wrong = np.mean([t.p_value <= 0.05 for t in sign_flip_many(x, None, n_permutations=1000, seed=1)])
    assert right < 0.08
    assert wrong > 0.2


def test_many_cells_equal_one_at_a_time_also_with_missing_values() -> None:
    rng = np.random.default_rng(6)
    table, groups = rng.normal(size=(9, 45)), np.arange(45) // 3
    table[2, :30] = table[5, 1] = np.nan
    table[7] = np.nan
    many = sign_flip_many(table, groups, n_permutations=3000, seed=2)
    for row, cell in zip(table, many, strict=True):
        one = sign_flip(row, groups, n_permutations=3000, seed=2)
        np.testing.assert_equal(dataclasses.asdict(one), dataclasses.asdict(cell))
    assert many[2].exact  # five groups are left
    assert (many[2].n, many[2].n_undefined) == (15, 30)
    assert math.isnan(many[7].p_value)
    assert many[7].n == 0


def test_memory_blocks_do_not_change_the_signs(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.default_rng(7).normal(0.2, size=(3, 70))
    whole = sign_flip_many(x, n_permutations=1000, seed=3)
    monkeypatch.setattr("otoscope.stats.permutation._AT_ONCE", 701)
    assert sign_flip_many(x, n_permutations=1000, seed=3) == whole


@given(
    values=st.lists(st.floats(-10, 10), min_size=1, max_size=9),
    scale=st.floats(0.1, 10),
    order=st.randoms(use_true_random=False),
)
@settings(max_examples=50, deadline=None, derandomize=True)
def test_scale_sign_and_order_do_not_matter(values: list[float], scale: float, order: object) -> None:
    base = sign_flip(values, seed=0)
    shuffled = list(values)
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    for same in (np.array(values) * scale, -np.array(values), shuffled):
        assert sign_flip(same, seed=0).p_value == pytest.approx(base.p_value)
    assert 0 < base.p_value <= 1


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(UsageError, match="alternative"):
        sign_flip([1.0], seed=0, alternative="both")
    with pytest.raises(UsageError, match="n_permutations"):
        sign_flip([1.0], seed=0, n_permutations=0)
