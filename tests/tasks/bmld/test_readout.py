"""The learned listener: hears what is there, guesses where nothing is, and never sees a seed twice."""

import numpy as np
import pytest

from otoscope.core.errors import InputError
from otoscope.tasks.bmld.readout import cross_validated_choices

RNG = np.random.default_rng(0)


def data(n=120, d=20, shift=0.0, seed=0):
    rng = np.random.default_rng(seed)
    signal, noise = rng.standard_normal((2, n, d))
    signal[:, 0] += shift
    return signal, noise, np.array([f"s{k}" for k in range(n)])


def choices(signal, noise, groups, flips=None, **kw):
    return cross_validated_choices(signal, noise, groups, folds=5, components=kw.get("components", 64), flips=flips)


def test_a_clear_difference_is_heard():
    assert choices(*data(shift=3.0)).mean() > 0.95


def test_accuracy_follows_the_ideal_listener():
    d_prime = 1.5  # distance of the means; 2AFC proportion correct is Phi(d' / sqrt 2) = 0.856
    found = choices(*data(n=2000, d=5, shift=d_prime, seed=3)).mean()
    assert found == pytest.approx(0.856, abs=0.03)


def test_permuted_labels_give_chance():
    """Sheet, acceptance test 9: AUC 0.5 within two standard errors."""
    signal, noise, groups = data(n=400, shift=3.0)
    flips = np.random.default_rng(1).random((20, 400)) < 0.5
    means = [choices(signal, noise, groups, f).mean() for f in flips]
    se = np.std(means, ddof=1) / np.sqrt(len(means))
    assert abs(np.mean(means) - 0.5) < 2.5 * max(se, 0.5 / np.sqrt(400 * 20))


def test_no_difference_gives_chance_and_equal_intervals_give_ties():
    assert choices(*data(n=500, seed=5)).mean() == pytest.approx(0.5, abs=0.08)
    same = np.ones((30, 4))
    assert (choices(same, same, np.arange(30).astype(str)) == 0.5).all()


def test_seeds_that_repeat_stay_together():
    """Pairs of one seed are copies: a listener that saw the copy in training would be perfect."""
    rng = np.random.default_rng(2)
    half_signal, half_noise = rng.standard_normal((2, 40, 30))
    signal, noise = np.repeat(half_signal, 2, axis=0), np.repeat(half_noise, 2, axis=0)
    groups = np.repeat([f"s{k}" for k in range(40)], 2)
    assert choices(signal, noise, groups).mean() < 0.75


def test_too_few_seeds_are_refused():
    with pytest.raises(InputError, match="folds"):
        choices(*data(n=4))
