from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu, norm

from otoscope.core.errors import InputError, UsageError
from otoscope.stats.auc import auc, clip_proportion, dprime_from_2afc, dprime_from_auc, percent_correct_2afc

SCORES = st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=12)


@given(SCORES, SCORES)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_area_is_the_share_of_pairs(signal: list[float], noise: list[float]) -> None:
    pairs = [(s > n) + 0.5 * (s == n) for s in signal for n in noise]
    assert auc(signal, noise) == pytest.approx(np.mean(pairs))
    assert auc(signal, noise) + auc(noise, signal) == pytest.approx(1.0)
    assert auc(np.exp(signal), np.exp(noise)) == pytest.approx(auc(signal, noise))


def test_area_equals_mann_whitney() -> None:
    rng = np.random.default_rng(0)
    signal, noise = rng.normal(1, size=60), rng.normal(size=45)
    assert auc(signal, noise) == pytest.approx(mannwhitneyu(signal, noise).statistic / (60 * 45))


def test_normal_scores_give_their_separation() -> None:
    rng = np.random.default_rng(1)
    area = auc(rng.normal(1.5, size=40_000), rng.normal(size=40_000))
    assert dprime_from_auc(area, 40_000) == pytest.approx(1.5, abs=0.03)


def test_d_prime_and_percent_correct_invert_each_other() -> None:
    # Tabled: d' of 1 is 76 % in 2AFC, chance is d' of 0.
    assert percent_correct_2afc(1.0) == pytest.approx(76.02, abs=0.01)
    assert percent_correct_2afc(0.0) == 50.0
    d = np.linspace(-2, 2, 9)
    np.testing.assert_allclose(dprime_from_2afc(percent_correct_2afc(d), 10_000), d, atol=1e-9)


def test_perfect_scores_are_clipped_not_infinite() -> None:
    assert dprime_from_auc(1.0, 50) == pytest.approx(math.sqrt(2) * norm.ppf(0.99))
    assert dprime_from_auc(0.0, 50) == pytest.approx(-math.sqrt(2) * norm.ppf(0.99))
    np.testing.assert_allclose(clip_proportion([0, 0.5, 1], [10, 10, 20]), [0.05, 0.5, 0.975])


def test_undefined_and_wrong_arguments() -> None:
    assert math.isnan(auc([], [1.0]))
    assert math.isnan(float(dprime_from_auc(np.nan, 10)))
    assert auc([np.inf], [1.0]) == 1.0
    with pytest.raises(InputError, match="NaN"):
        auc([np.nan], [1.0])
    with pytest.raises(InputError, match="one axis"):
        auc([[1.0]], [1.0])
    with pytest.raises(InputError, match="outside 0 to 1"):
        dprime_from_2afc(120.0, 10)
    with pytest.raises(UsageError, match="below 1"):
        dprime_from_auc(0.5, 0)
