"""Psychometric functions: fit by maximum likelihood, threshold, and what the threshold is where data do not reach it.

The threshold is the level at which the raw function (guesses and lapses included) equals ``target``. It is reported
only within the tested range; beyond, it is a bound. Where no rising curve explains the data better than a constant, the
constant decides: below target the threshold lies above the range, else below it; a proportion correct that clearly
falls with the level leaves it undefined. (Model: Wichmann & Hill 2001; the rules for bounds are ours.)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import exp, sqrt, tau
from typing import TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import xlogy

from otoscope.core.errors import InputError, UsageError
from otoscope.stats.bounds import BOUND_OF_SIDE, Draws
from otoscope.stats.checks import Floats, as_floats, check_choice
from otoscope.stats.likelihood import SIGMOIDS, Family

# A trend this many standard errors below zero is a fall and no flat line with noise (ours).
_FALL = -3.0
_STATUS = {-1: "below_range", 0: "ok", 1: "above_range"}


class FitSettings(TypedDict, total=False):
    """The settings of a fit, as :func:`fit_psychometric` explains them."""

    guess: float
    sigmoid: str
    lapse: float | str
    lapse_max: float
    target: float


@dataclass(frozen=True)
class PsychometricFit:
    """A fitted function psi(x) = guess + (1 - guess - lapse) F(x).

    ``threshold`` is where psi equals ``target``; with ``bound`` "<" or ">" it is the edge of the tested range, and NaN
    where ``status`` is "undefined". ``width`` runs from F = 0.05 to F = 0.95, ``location`` is F = 1/2 (either may lie
    at the edge of what the tested levels can tell). ``log_likelihood`` omits the binomial coefficients; ``deviance``
    compares with one free proportion per level.
    """

    threshold: float
    bound: str | None
    status: str
    target: float
    location: float
    width: float
    lapse: float
    guess: float
    sigmoid: str
    log_likelihood: float
    deviance: float
    n_levels: int
    n_trials: float
    note: str

    @property
    def slope(self) -> float:
        """Rise of psi per unit of x at ``location``."""
        steepness = Family(np.zeros(1), self.sigmoid, self.guess, 0.0, 0.0).steepness
        density = 1 / sqrt(tau) if self.sigmoid == "norm" else 0.25
        return (1 - self.guess - self.lapse) * density * steepness / self.width


def family_of(
    x: ArrayLike,
    *,
    guess: float = 0.5,
    sigmoid: str = "norm",
    lapse: float | str = "free",
    lapse_max: float = 0.06,
    target: float = 0.794,
) -> Family:
    """Check the settings of a fit and return what stays fixed in it.

    Raises:
        InputError: levels that are not finite, or fewer than two different ones.
        UsageError: an unknown sigmoid, or rates and a target that contradict each other.
    """
    check_choice(sigmoid, SIGMOIDS, "sigmoid")
    levels = as_floats(x, ndim=1, what="Levels")
    if np.isnan(levels).any() or len(np.unique(levels)) < 2:
        raise InputError("A psychometric function needs two different, defined levels", fix="Test more levels.")
    if isinstance(lapse, str):
        check_choice(lapse, ("free",), "lapse (or give a rate)")
        low, high = 0.0, float(lapse_max)
    else:
        low = high = float(lapse)
    if not (0 <= guess < target < 1 - high and low >= 0):
        raise UsageError(
            f"target {target} is not between guess {guess} and 1 - lapse {1 - high:g}",
            fix="The raw function runs from guess to 1 - lapse and must pass through the target.",
        )
    return _family(tuple(levels.tolist()), sigmoid, float(guess), low, high)


@lru_cache(maxsize=64)
def _family(levels: tuple[float, ...], sigmoid: str, guess: float, low: float, high: float) -> Family:
    """Families keep the grid their fits start from, which fits with the same levels share."""
    x = np.array(levels)
    x.flags.writeable = False
    return Family(x, sigmoid, guess, low, high)


def thresholds(family: Family, k: Floats, n: Floats, target: float) -> tuple[Draws, Floats, Floats, NDArray[np.bool_]]:
    """Fit ``k`` of ``n`` [B, L] and find each threshold.

    Returns:
        thresholds, parameters [B, 3] (location, log width, lapse), log-likelihood [B], settled [B].
    """
    parameters, likelihood, settled = family.fit(k, n)
    value = family.level_at(parameters, target)
    total = n.sum(axis=1)
    tested = total > 0
    share = k.sum(axis=1) / np.where(tested, total, 1.0)
    constant = total * (xlogy(share, share) + xlogy(1 - share, 1 - share))
    rising = likelihood > constant
    # Where the data do not rise, the constant stands on one side of the target throughout.
    value = np.where(rising, value, np.where(share < target, np.inf, -np.inf))
    undefined = ~tested | (~rising & (_trend(family.x, k, n, share) < _FALL))
    low, high = family.x.min(), family.x.max()
    side = np.where(value < low, -1, np.where(value > high, 1, 0))
    value = np.where(undefined, np.nan, np.clip(value, low, high))
    return Draws(value, np.where(undefined, 0, side).astype(np.int8)), parameters, likelihood, settled


def _trend(x: Floats, k: Floats, n: Floats, share: Floats) -> Floats:
    """Cochran-Armitage trend of the proportions with x, in standard errors [B]; 0 where they do not vary."""
    total = np.maximum(n.sum(axis=1, keepdims=True), 1e-300)
    centred = x - (n * x).sum(axis=1, keepdims=True) / total
    variance = share * (1 - share) * (n * centred**2).sum(axis=1)
    slope = (centred * (k - n * share[:, None])).sum(axis=1)
    return np.where(variance > 0, slope / np.sqrt(np.where(variance > 0, variance, 1.0)), 0.0)


def fit_psychometric(
    x: ArrayLike,
    n_correct: ArrayLike,
    n_trials: ArrayLike,
    *,
    guess: float = 0.5,
    sigmoid: str = "norm",
    lapse: float | str = "free",
    lapse_max: float = 0.06,
    target: float = 0.794,
) -> PsychometricFit:
    """Fit a psychometric function that rises with ``x`` and find its threshold.

    Args:
        x: [L] tested levels, at least two different ones; where performance falls with x, pass -x.
        n_correct: [L] correct trials; fractions are allowed (a tie counts half).
        n_trials: [L] trials, or one number for all levels.
        guess: proportion correct without hearing anything (0.5 in 2AFC).
        sigmoid: ``"norm"`` or ``"logistic"``.
        lapse: ``"free"`` (fitted between 0 and ``lapse_max``) or a fixed rate.
        target: proportion correct of the raw function at threshold (0.794: the 3-down-1-up point; 0.75 is common).

    Raises:
        InputError: counts that do not fit the levels or each other, or no usable levels.
        UsageError: settings that contradict each other (see :func:`family_of`).
    """
    family = family_of(x, guess=guess, sigmoid=sigmoid, lapse=lapse, lapse_max=lapse_max, target=target)
    k, n = counts_of(family, n_correct, n_trials)
    draws, parameters, likelihood, settled = thresholds(family, k[None], n[None], target)
    location, width, rate = float(parameters[0, 0]), exp(float(parameters[0, 1])), float(parameters[0, 2])
    observed = k / n
    saturated = float((xlogy(k, observed) + xlogy(n - k, 1 - observed)).sum())
    undefined = bool(np.isnan(draws.value[0]))
    side = int(draws.side[0])
    notes = ["proportion correct falls with the level"] if undefined else []
    if side:
        notes.append("threshold outside the tested range: a bound")
    if not settled[0]:
        notes.append("the fit did not settle")
    return PsychometricFit(
        threshold=float(draws.value[0]), bound=BOUND_OF_SIDE[side],
        status="undefined" if undefined else _STATUS[side], target=target,
        location=location, width=width, lapse=rate, guess=family.guess, sigmoid=sigmoid,
        log_likelihood=float(likelihood[0]), deviance=2 * max(0.0, saturated - float(likelihood[0])),
        n_levels=len(k), n_trials=float(n.sum()), note="; ".join(notes),
    )  # fmt: skip


def counts_of(family: Family, n_correct: ArrayLike, n_trials: ArrayLike) -> tuple[Floats, Floats]:
    """Check counts against the levels; returns correct and total trials, [L] each.

    Raises:
        InputError: lengths that differ, levels without trials, or counts outside 0 to the number of trials.
    """
    k = as_floats(n_correct, ndim=1, what="Counts of correct trials")
    n = np.asarray(n_trials, dtype=np.float64)
    if len(k) != len(family.x) or n.shape not in ((), k.shape):
        raise InputError(f"{len(family.x)} levels, {len(k)} counts and trials of shape {n.shape} do not fit")
    n = np.broadcast_to(n, k.shape).copy()
    if not ((n > 0) & np.isfinite(n)).all():
        raise InputError("A level has no trials", fix="Leave levels that were not tested out of x and the counts.")
    if not ((k >= 0) & (k <= n)).all():
        raise InputError("Correct trials lie outside 0 to the number of trials")
    return k, n


def predict(fit: PsychometricFit, x: ArrayLike) -> Floats:
    """Proportion correct psi of ``fit`` at levels ``x`` of any shape, also where the threshold is only a bound."""
    levels = np.asarray(x, dtype=np.float64)
    family = Family(levels.ravel(), fit.sigmoid, fit.guess, fit.lapse, fit.lapse)
    parameters = np.array([[fit.location, np.log(fit.width), fit.lapse]])
    return family.proportions(parameters, family.x)[0].reshape(levels.shape)
