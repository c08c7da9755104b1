from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from otoscope.core.errors import UsageError
from otoscope.stats.power import power_paired, sample_size_paired, smallest_detectable_effect


@pytest.mark.parametrize(("n", "effect"), [(10, 0.5), (34, 0.5), (100, 0.1), (5, -1.2)])
def test_power_equals_noncentral_t(n: int, effect: float) -> None:
    critical = stats.t.isf(0.025, n - 1)
    expected = stats.nct.sf(critical, n - 1, effect * n**0.5) + stats.nct.cdf(-critical, n - 1, effect * n**0.5)
    assert power_paired(n, effect) == pytest.approx(expected, rel=1e-9)


def test_power_equals_simulation() -> None:
    x = np.random.default_rng(0).normal(0.6, size=(20_000, 15))
    found = stats.ttest_1samp(x, 0, axis=1).pvalue < 0.05
    assert power_paired(15, 0.6) == pytest.approx(found.mean(), abs=0.012)
    one_sided = stats.ttest_1samp(x, 0, axis=1, alternative="greater").pvalue < 0.05
    assert power_paired(15, 0.6, alternative="one-sided") == pytest.approx(one_sided.mean(), abs=0.012)


def test_known_sample_sizes() -> None:
    # The values that any power calculator prints for the paired t-test.
    assert [sample_size_paired(d) for d in (0.2, 0.5, 0.8)] == [199, 34, 15]
    assert sample_size_paired(0.5, 0.9) == 44
    assert sample_size_paired(0.5, alternative="one-sided") == 27
    assert sample_size_paired(50.0) == 2


def test_no_effect_gives_the_error_rate() -> None:
    assert power_paired(20, 0.0, 0.03) == pytest.approx(0.03)


@given(n=st.integers(2, 5000), power=st.floats(0.1, 0.99), sd=st.floats(0.01, 100))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_smallest_detectable_effect_inverts_power(n: int, power: float, sd: float) -> None:
    effect = smallest_detectable_effect(n, sd, power)
    assert power_paired(n, effect / sd) == pytest.approx(power, abs=1e-6)


@pytest.mark.parametrize("n", [2, 3, 10, 200, 100_000])
def test_power_rises_with_the_effect_without_gaps(n: int) -> None:
    powers = [power_paired(n, d) for d in np.geomspace(1e-3, 1e3, 40)]
    assert (np.diff(powers) > -1e-9).all()
    assert powers[-1] == pytest.approx(1.0)


def test_nothing_is_detectable_without_spread_to_measure() -> None:
    assert math.isnan(smallest_detectable_effect(1))
    assert math.isnan(smallest_detectable_effect(10, float("nan")))
    assert smallest_detectable_effect(10, 0.0) == 0.0


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(UsageError, match="n = 1"):
        power_paired(1, 0.5)
    with pytest.raises(UsageError, match="No sample size"):
        sample_size_paired(0.0)
    with pytest.raises(UsageError, match="power above alpha"):
        smallest_detectable_effect(10, power=0.05, alpha=0.05)
    with pytest.raises(UsageError, match="alternative"):
        power_paired(10, 0.5, alternative="up")
