from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import false_discovery_control, ttest_1samp

from otoscope.core.errors import InputError
from otoscope.stats.correction import benjamini_hochberg, benjamini_yekutieli, holm
from otoscope.stats.permutation import sign_flip_many

METHODS = [benjamini_hochberg, benjamini_yekutieli, holm]
Method = Callable[[object], np.ndarray]


def test_equal_scipy_and_the_textbook() -> None:
    p = np.random.default_rng(0).uniform(size=30) ** 2
    np.testing.assert_allclose(benjamini_hochberg(p), false_discovery_control(p, method="bh"))
    np.testing.assert_allclose(benjamini_yekutieli(p), false_discovery_control(p, method="by"))
    # Holm by its definition: the k-th smallest is compared with alpha / (m - k + 1), stopping at the first failure.
    for alpha in (0.001, 0.01, 0.05, 0.2):
        order, rejected = np.argsort(p), np.zeros(30, dtype=bool)
        for rank, index in enumerate(order):
            if p[index] > alpha / (30 - rank):
                break
            rejected[index] = True
        assert ((holm(p) <= alpha) == rejected).all()


def test_holm_by_hand() -> None:
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])


@pytest.mark.parametrize("method", METHODS)
def test_undefined_tests_are_no_members_of_the_family(method: Method) -> None:
    p = np.array([[0.01, np.nan, 0.2], [0.03, 0.5, np.nan]])
    adjusted = method(p)
    assert (np.isnan(adjusted) == np.isnan(p)).all()
    np.testing.assert_allclose(adjusted[~np.isnan(p)], method([0.01, 0.2, 0.03, 0.5]))
    assert np.isnan(method([np.nan, np.nan])).all()
    assert method([]).shape == (0,)


@pytest.mark.parametrize("method", METHODS)
def test_no_p_value_is_refused(method: Method) -> None:
    with pytest.raises(InputError, match="outside 0 to 1"):
        method([0.1, 1.2])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_order_is_kept_and_adjusting_never_helps(p: list[float], order: object) -> None:
    permutation = list(range(len(p)))
    order.shuffle(permutation)  # type: ignore[attr-defined]
    for method in METHODS:
        adjusted = method(p)
        assert (adjusted >= np.array(p) - 1e-15).all()
        assert (adjusted <= 1).all()
        np.testing.assert_allclose(method(np.array(p)[permutation]), adjusted[permutation])
        assert (np.diff(adjusted[np.argsort(p, kind="stable")]) >= -1e-15).all()
    assert (benjamini_hochberg(p) <= holm(p) + 1e-12).all()


def test_false_discovery_rate_is_kept() -> None:
    rng = np.random.default_rng(1)
    rates = []
    for _ in range(300):
        x = rng.normal(size=(60, 20))
        x[:20] += 1.0
        discovered = benjamini_hochberg(ttest_1samp(x, 0, axis=1).pvalue) <= 0.1
        rates.append(discovered[20:].sum() / max(1, discovered.sum()))
    # The expected rate is q times the share of true nulls.
    assert np.mean(rates) <= 0.1
    assert np.mean(rates) == pytest.approx(0.1 * 40 / 60, abs=4 * np.std(rates) / np.sqrt(300))


def test_false_discovery_rate_is_kept_by_the_sign_flip_test_on_cells_that_share_noise() -> None:
    rng = np.random.default_rng(2)
    rates, found = [], []
    for repeat in range(40):
        x = 0.7 * rng.normal(size=(1, 60)) + rng.normal(size=(24, 60))
        x[:6] += 0.9
        p = [t.p_value for t in sign_flip_many(x, n_permutations=1000, seed=repeat)]
        discovered = benjamini_hochberg(p) <= 0.05
        rates.append(discovered[6:].sum() / max(1, discovered.sum()))
        found.append(discovered[:6].mean())
    assert np.mean(rates) <= 0.05 + 3 * np.std(rates) / np.sqrt(40)
    assert np.mean(found) > 0.9
