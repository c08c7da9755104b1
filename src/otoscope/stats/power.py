"""Power of the paired (one-sample) t-test: what a run of n groups could have found.

Under a true standardised difference d the t statistic of n differences is noncentral t with n - 1 degrees of freedom
and noncentrality d * sqrt(n) (Cohen 1988, chapter 2). Effects are in units of the standard deviation of the paired
differences (d_z). n counts independent units: groups, where items come in groups.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtri
from scipy.stats import nct
from scipy.stats import t as student

from otoscope.core.errors import UsageError
from otoscope.stats.checks import check_choice, check_fraction

_SIDES = ("two-sided", "one-sided")


def power_paired(n: int, effect_sd: float, alpha: float = 0.05, *, alternative: str = "two-sided") -> float:
    """Probability that the t-test of ``n`` paired differences rejects at ``alpha``.

    Args:
        n: independent units, at least 2.
        effect_sd: true mean difference in standard deviations of the differences; its sign counts only one-sided.
        alternative: ``"two-sided"`` or ``"one-sided"`` (a positive difference).

    Raises:
        UsageError: n below 2, alpha outside (0, 1), an unknown alternative, or an effect that is not finite.
    """
    check_choice(alternative, _SIDES, "alternative")
    check_fraction(alpha, "alpha")
    if n < 2 or not np.isfinite(effect_sd):
        raise UsageError(f"No power for n = {n} and effect {effect_sd}", fix="Use n of 2 or more and a finite effect.")
    shift = effect_sd * np.sqrt(n)
    if alternative == "one-sided":
        return _upper(float(student.isf(alpha, n - 1)), n - 1, shift)
    critical = float(student.isf(alpha / 2, n - 1))
    return min(1.0, _upper(critical, n - 1, shift) + _upper(critical, n - 1, -shift))


def _upper(critical: float, freedom: int, shift: float) -> float:
    """P(T > critical) for noncentral t; the far tail, where the library's series gives no number, is 0 or 1."""
    if abs(shift - critical) > 37 and abs(shift) > 37:
        return 1.0 if shift > critical else 0.0
    return float(nct.sf(critical, freedom, shift))


def sample_size_paired(
    effect_sd: float, power: float = 0.8, alpha: float = 0.05, *, alternative: str = "two-sided"
) -> int:
    """Least number of units with which an effect of ``effect_sd`` is found with probability ``power``.

    Raises:
        UsageError: an effect of zero (or, one-sided, below zero), or power or alpha outside (0, 1).
    """
    check_fraction(power, "power")
    if effect_sd == 0 or (effect_sd < 0 and alternative == "one-sided"):
        raise UsageError(f"No sample size finds an effect of {effect_sd}", fix="Name the effect that matters.")
    low, high = 1, 2
    while power_paired(high, effect_sd, alpha, alternative=alternative) < power:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if power_paired(middle, effect_sd, alpha, alternative=alternative) < power:
            low = middle
        else:
            high = middle
    return high


def smallest_detectable_effect(
    n: int, sd: float = 1.0, power: float = 0.8, alpha: float = 0.05, *, alternative: str = "two-sided"
) -> float:
    """Smallest true mean difference, in the units of ``sd``, that ``n`` units find with probability ``power``.

    Args:
        n: independent units; below 2 nothing is detectable and the answer is NaN.
        sd: standard deviation of the paired differences between units; NaN gives NaN.

    Raises:
        UsageError: a negative sd, or power or alpha outside (0, 1) or power not above alpha.
    """
    check_fraction(power, "power")
    check_fraction(alpha, "alpha")
    if sd < 0 or power <= alpha:
        raise UsageError(f"sd {sd}, power {power}, alpha {alpha} make no test", fix="sd >= 0 and power above alpha.")
    if n < 2 or np.isnan(sd):
        return float("nan")
    high = float(student.isf(alpha / 2, n - 1) + ndtri(power)) / np.sqrt(n) if power > 0.5 else 1.0 / np.sqrt(n)
    while power_paired(n, high, alpha, alternative=alternative) < power:
        high *= 2.0
    effect = brentq(lambda d: power_paired(n, d, alpha, alternative=alternative) - power, 0.0, high, xtol=1e-10)
    return float(effect) * sd
