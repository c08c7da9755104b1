"""Shares of a score: their mean is the score, and each is what leaving the item out does."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score

from otoscope.readouts.jackknife import ap_without, f1_shares, map_shares, pseudo_values


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_average_precision_without_each_item_is_that_of_the_others(ties, share):
    rng = np.random.default_rng(3)
    scores = rng.integers(5, size=40).astype(float) if ties else rng.standard_normal(40)
    truth = (rng.random(40) < share).astype(int)
    found = ap_without(scores, truth)
    for i in range(40):
        rest = np.arange(40) != i
        assert found[i] == pytest.approx(average_precision_score(truth[rest], scores[rest]), abs=1e-12)


def test_the_only_positive_leaves_nothing():
    assert ap_without(np.array([3.0, 2.0, 1.0]), np.array([1, 0, 0])).tolist() == [0.0, 1.0, 1.0]
    assert ap_without(np.array([1.0, 2.0]), np.array([0, 0])).tolist() == [0.0, 0.0]


def test_shares_of_map_have_its_mean_and_its_spread():
    rng = np.random.default_rng(0)
    truth = (rng.random((300, 4)) < 0.3).astype(int)
    scores = truth + 1.2 * rng.standard_normal((300, 4))
    found = map_shares(scores, truth)
    whole = average_precision_score(truth, scores)
    assert found.mean() == pytest.approx(whole, abs=1e-12)
    draws = [average_precision_score(truth[r], scores[r]) for r in (rng.integers(300, size=300) for _ in range(300))]
    assert found.std() / np.sqrt(300) == pytest.approx(np.std(draws), rel=0.2)


@pytest.mark.parametrize("average", ["macro", "micro"])
def test_shares_of_f1_have_its_mean(average):
    rng = np.random.default_rng(1)
    truth, said = rng.integers(2, size=(30, 8, 3)), rng.integers(2, size=(30, 8, 3))
    counts = [np.sum(a, axis=1).astype(float) for a in (truth & said, (1 - truth) & said, truth & (1 - said))]
    found = f1_shares(*counts, average)
    assert found.mean() == pytest.approx(f1_score(truth.reshape(-1, 3), said.reshape(-1, 3), average=average))
    rest = f1_score(truth[1:].reshape(-1, 3), said[1:].reshape(-1, 3), average=average)
    others = [
        f1_score(np.delete(truth, i, 0).reshape(-1, 3), np.delete(said, i, 0).reshape(-1, 3), average=average)
        for i in range(30)
    ]
    assert found[0] == pytest.approx(found.mean() + 29 * (np.mean(others) - rest))


def test_of_a_mean_the_shares_are_the_values():
    x = np.random.default_rng(0).standard_normal(20)
    without = (x.sum() - x) / 19
    np.testing.assert_allclose(pseudo_values(x.mean(), without), x)
