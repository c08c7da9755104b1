from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.stats import binom, logistic, norm

from otoscope.core.errors import InputError, UsageError
from otoscope.stats.likelihood import Family
from otoscope.stats.psychometric import PsychometricFit, fit_psychometric, predict, thresholds

X = np.arange(-24.0, 1.0, 3.0)
SIGMOIDS = ("norm", "logistic")


def _true(sigmoid: str, location: float, width: float, lapse: float, guess: float = 0.5) -> PsychometricFit:
    empty = fit_psychometric(X, np.full(9, 7.0), 10, sigmoid=sigmoid)
    return dataclasses.replace(empty, location=location, width=width, lapse=lapse, guess=guess)


@pytest.mark.parametrize(("sigmoid", "law"), [("norm", norm), ("logistic", logistic)])
def test_the_function_is_the_one_documented(sigmoid: str, law: object) -> None:
    fit = _true(sigmoid, -10.0, 8.0, 0.04)
    spread = 8.0 / (law.ppf(0.95) - law.ppf(0.05))  # type: ignore[attr-defined]
    expected = 0.5 + (1 - 0.5 - 0.04) * law.cdf(X, -10.0, spread)  # type: ignore[attr-defined]
    np.testing.assert_allclose(predict(fit, X), expected, rtol=1e-12)
    assert predict(fit, X.reshape(3, 3)).shape == (3, 3)
    rise = (predict(fit, -10 + 1e-5) - predict(fit, -10 - 1e-5)) / 2e-5
    assert fit.slope == pytest.approx(float(rise), rel=1e-6)


@pytest.mark.parametrize("sigmoid", SIGMOIDS)
@pytest.mark.parametrize("target", [0.75, 0.794])
def test_exact_proportions_return_their_parameters(sigmoid: str, target: float) -> None:
    true = _true(sigmoid, -11.0, 9.0, 0.03)
    fit = fit_psychometric(X, 1000 * predict(true, X), 1000, sigmoid=sigmoid, target=target)
    assert (fit.location, fit.width, fit.lapse) == pytest.approx((-11.0, 9.0, 0.03), abs=1e-3)
    assert (fit.status, fit.bound) == ("ok", None)
    assert float(predict(fit, fit.threshold)) == pytest.approx(target, abs=1e-9)
    assert fit.deviance == pytest.approx(0, abs=1e-5)


def test_other_guess_rates_and_fixed_lapses() -> None:
    true = _true("norm", -12.0, 7.0, 0.02, guess=0.25)
    fit = fit_psychometric(X, 500 * predict(true, X), 500, guess=0.25, lapse=0.02, target=0.6)
    assert (fit.location, fit.width, fit.lapse) == pytest.approx((-12.0, 7.0, 0.02), abs=1e-4)
    yes_no = fit_psychometric(X, 500 * norm.cdf(X, -12, 2), 500, guess=0.0, lapse=0.0, target=0.5)
    assert yes_no.threshold == pytest.approx(-12.0, abs=1e-3)


@pytest.mark.parametrize("sigmoid", SIGMOIDS)
@pytest.mark.parametrize("lapses", [(0.0, 0.06), (0.02, 0.02)])
def test_no_other_optimiser_finds_a_higher_likelihood(sigmoid: str, lapses: tuple[float, float]) -> None:
    rng = np.random.default_rng(1)
    family = Family(X, sigmoid, 0.5, *lapses)
    low, high = family.box
    true = np.stack([rng.uniform(-28, 4, 12), np.log(rng.uniform(2, 30, 12)), rng.uniform(0, 0.06, 12)], axis=1)
    k = rng.binomial(30, family.proportions(true, X)[0]).astype(float)
    _, likelihood, settled = family.fit(k, np.full_like(k, 30.0))
    assert settled.all()
    for row, ours in zip(k, likelihood, strict=True):

        def loss(q: np.ndarray, row: np.ndarray = row) -> float:
            p = family.proportions(np.clip(q, low, high)[None], X)[0][0]
            return -float(np.sum(row * np.log(p) + (30 - row) * np.log1p(-np.minimum(p, 1 - 1e-12))))

        starts = rng.uniform(low, high, size=(5, 3))
        found = [minimize(loss, start, method="L-BFGS-B", bounds=list(zip(low, high, strict=True))) for start in starts]
        assert ours >= -min(f.fun for f in found) - 1e-3


def test_log_likelihood_and_deviance_by_scipy() -> None:
    k = np.array([20, 22, 25, 30, 36, 39, 40, 39, 40])
    fit = fit_psychometric(X, k, 40)
    coefficient = binom.logpmf(k, 40, 0.5).sum() - 9 * 40 * math.log(0.5)
    assert fit.log_likelihood + coefficient == pytest.approx(binom.logpmf(k, 40, predict(fit, X)).sum())
    saturated = binom.logpmf(k, 40, k / 40).sum() - coefficient
    assert fit.deviance == pytest.approx(2 * (saturated - fit.log_likelihood))
    assert (fit.n_levels, fit.n_trials) == (9, 360)


@pytest.mark.parametrize("sigmoid", SIGMOIDS)
def test_known_parameters_are_recovered_without_bias(sigmoid: str) -> None:
    true = _true(sigmoid, -12.0, 9.0, 0.02)
    family = Family(X, sigmoid, 0.5, 0.0, 0.06)
    k = np.random.default_rng(2).binomial(100, predict(true, X), size=(500, 9)).astype(float)
    draws, parameters, _, settled = thresholds(family, k, np.full_like(k, 100.0), 0.794)
    truth = family.level_at(np.array([[-12.0, math.log(9.0), 0.02]]), 0.794)[0]
    assert settled.all()
    assert (draws.side == 0).all()
    assert draws.value.mean() == pytest.approx(truth, abs=0.1)
    assert draws.value.std() < 0.8
    assert np.exp(np.median(parameters[:, 1])) == pytest.approx(9.0, rel=0.1)


def test_batches_equal_single_fits() -> None:
    family = Family(X, "norm", 0.5, 0.0, 0.06)
    k = np.random.default_rng(3).binomial(20, 0.7, size=(30, 9)).astype(float)
    draws = thresholds(family, k, np.full_like(k, 20.0), 0.794)[0]
    for row, value, side in zip(k, draws.value, draws.side, strict=True):
        fit = fit_psychometric(X, row, 20)
        assert fit.threshold == pytest.approx(value, abs=1e-6)
        assert fit.bound == {-1: "<", 0: None, 1: ">"}[int(side)]


@pytest.mark.parametrize(
    ("correct", "status", "threshold"),
    [
        ([20] * 9, "above_range", 0.0),  # chance everywhere
        ([18, 23, 19, 21, 20, 17, 22, 20, 19], "above_range", 0.0),
        ([0] * 9, "above_range", 0.0),
        ([30] * 9, "above_range", 0.0),  # flat below target
        ([36] * 9, "below_range", -24.0),  # flat above target
        ([40] * 9, "below_range", -24.0),  # perfect everywhere
        ([38, 39, 40, 40, 40, 40, 40, 40, 40], "below_range", -24.0),
        ([20, 20, 20, 20, 20, 20, 21, 24, 29], "above_range", 0.0),  # rises, but not far enough
        ([20, 20, 36, 20, 20, 20, 20, 20, 20], "above_range", 0.0),  # one lucky level
        ([40, 38, 35, 30, 27, 24, 22, 20, 20], "undefined", math.nan),  # falls
    ],
)
@pytest.mark.parametrize("sigmoid", SIGMOIDS)
def test_thresholds_out_of_range_are_bounds(correct: list[int], status: str, threshold: float, sigmoid: str) -> None:
    fit = fit_psychometric(X, correct, 40, sigmoid=sigmoid)
    assert (fit.status, fit.bound) == (status, {"above_range": ">", "below_range": "<", "undefined": None}[status])
    assert fit.threshold == pytest.approx(threshold, nan_ok=True)
    assert fit.note


def test_a_step_lies_between_the_levels_around_it() -> None:
    fit = fit_psychometric(X, [20, 20, 20, 20, 40, 40, 40, 40, 40], 40)
    assert -15.0 < fit.threshold < -12.0
    dip = fit_psychometric(X, [20, 21, 26, 33, 30, 38, 40, 39, 40], 40)
    assert dip.status == "ok"


@given(
    counts=st.lists(st.integers(0, 20), min_size=9, max_size=9),
    shift=st.floats(-50, 50),
    scale=st.floats(0.1, 20),
)
@settings(max_examples=40, deadline=None, derandomize=True)
def test_levels_may_be_shifted_and_scaled_and_thresholds_stay_in_range(
    counts: list[int], shift: float, scale: float
) -> None:
    fit = fit_psychometric(X, counts, 20)
    moved = fit_psychometric(shift + scale * X, counts, 20)
    assert moved.status == fit.status
    assert moved.threshold == pytest.approx(shift + scale * fit.threshold, abs=2e-2 * scale, nan_ok=True)
    assert math.isnan(fit.threshold) or X.min() <= fit.threshold <= X.max()
    order = np.random.default_rng(0).permutation(9)
    shuffled = fit_psychometric(X[order], np.array(counts)[order], 20)
    assert shuffled.threshold == pytest.approx(fit.threshold, abs=2e-2, nan_ok=True)


@given(counts=st.lists(st.integers(10, 20), min_size=9, max_size=9).map(sorted))
@settings(max_examples=30, deadline=None, derandomize=True)
def test_a_higher_target_needs_a_higher_level(counts: list[int]) -> None:
    found = [fit_psychometric(X, counts, 20, target=t).threshold for t in (0.7, 0.75, 0.8, 0.85)]
    assert (np.diff(found) >= -1e-9).all()


@pytest.mark.parametrize("k", [[52, 51, 60, 72, 85, 94, 97, 99, 98], [50, 50, 52, 49, 61, 77, 90, 98, 97]])
def test_agrees_with_psignifit(k: list[int]) -> None:
    psignifit = pytest.importorskip("psignifit")
    ours = fit_psychometric(X, k, 100, target=0.75)
    theirs = psignifit.psignifit(
        np.stack([X, k, np.full(9, 100)], axis=1),
        experiment_type="2AFC",
        sigmoid="norm",
        fixed_parameters={"eta": 0.0},  # plain binomial, as ours
    )
    # Theirs is the posterior's peak under priors on width and lapses, ours the likelihood's.
    assert ours.threshold == pytest.approx(theirs.threshold(0.75, unscaled=False)[0], abs=0.4)
    assert ours.width == pytest.approx(theirs.parameter_estimate["width"], rel=0.15)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"x": [1.0, 1.0]}, InputError, "two different"),
        ({"x": [1.0, np.nan]}, InputError, "two different"),
        ({"n_correct": [5, 12]}, InputError, "outside 0"),
        ({"n_correct": [5, 5, 5]}, InputError, "do not fit"),
        ({"n_trials": [10, 0]}, InputError, "no trials"),
        ({"sigmoid": "gauss"}, UsageError, "sigmoid"),
        ({"target": 0.4}, UsageError, "not between guess"),
        ({"lapse": 0.3}, UsageError, "not between guess"),
        ({"lapse": "fixed"}, UsageError, "lapse"),
    ],
)
def test_wrong_arguments_are_refused(change: dict[str, object], error: type[Exception], words: str) -> None:
    arguments: dict[str, object] = {"x": [1.0, 2.0], "n_correct": [5, 9], "n_trials": 10} | change
    with pytest.raises(error, match=words):
        fit_psychometric(**arguments)  # type: ignore[arg-type]
