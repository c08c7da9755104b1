"""Equivalence and non-inferiority: evidence that a difference is small, not merely that none was found.

Two one-sided t-tests (Schuirmann 1987): the mean lies within the margin when both "at or below the lower margin" and
"at or above the upper margin" are rejected, which is when the 1 - 2 alpha interval lies inside. Items are averaged
within groups first and the groups count equally, so n - 1 is the number of groups less one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import t as student

from otoscope.core.errors import UsageError
from otoscope.stats.checks import as_floats, check_fraction
from otoscope.stats.grouping import Groups, group_codes, group_sums


@dataclass(frozen=True)
class Equivalence:
    """Result of two one-sided tests.

    ``mean`` is the mean of group means and ``low`` to ``high`` its 1 - 2 alpha interval. ``smallest_margin`` is the
    smallest symmetric margin within which these data show equivalence at ``alpha``.
    """

    equivalent: bool
    p_value: float
    p_lower: float
    p_upper: float
    mean: float
    low: float
    high: float
    margin: tuple[float, float]
    smallest_margin: float
    alpha: float
    n: int
    n_groups: int
    n_undefined: int
    note: str = ""


@dataclass(frozen=True)
class NonInferiority:
    """Result of one one-sided test; ``bound`` is the one-sided 1 - alpha confidence bound on the bad side."""

    non_inferior: bool
    p_value: float
    mean: float
    bound: float
    margin: float
    higher_is_better: bool
    alpha: float
    n: int
    n_groups: int
    n_undefined: int
    note: str = ""


@dataclass(frozen=True)
class _Sample:
    mean: float
    error: float
    freedom: int
    n: int
    n_groups: int
    n_undefined: int
    note: str

    def p_above(self, edge: float) -> float:
        """One-sided p of "the mean is at or below ``edge``"."""
        if np.isnan(self.error):
            return float("nan")
        if self.error == 0:  # every group has the same mean: the data leave no doubt
            return 0.0 if self.mean > edge else 1.0
        return float(student.sf((self.mean - edge) / self.error, self.freedom))

    def half_width(self, alpha: float) -> float:
        return float("nan") if np.isnan(self.error) else self.error * float(student.isf(alpha, self.freedom))


def _sample(values: ArrayLike, groups: Groups | None) -> _Sample:
    row = as_floats(values, ndim=1, what="Values")
    codes, _ = group_codes(groups, len(row))
    keep = ~np.isnan(row)
    n, lost = int(keep.sum()), int((~keep).sum())
    if n == 0:
        return _Sample(np.nan, np.nan, 0, 0, 0, lost, "no defined value")
    sums, sizes = group_sums(row[None, keep], codes[keep])
    means = sums[0] / sizes
    if len(means) == 1:
        return _Sample(float(means[0]), np.nan, 0, n, 1, lost, "a single group has no standard error: no test")
    constant = means.max() == means.min()
    mean = float(means[0] if constant else means.mean())
    error = 0.0 if constant else float(means.std(ddof=1) / np.sqrt(len(means)))
    return _Sample(mean, error, len(means) - 1, n, len(means), lost, "all group means are equal" if constant else "")


def tost(
    values: ArrayLike, margin: float | tuple[float, float], groups: Groups | None = None, *, alpha: float = 0.05
) -> Equivalence:
    """Test whether the mean of ``values`` [n] (paired differences) lies within the margin.

    Args:
        margin: positive number for -margin to +margin, or (lower, upper).
        groups: a label per value; None makes each value a group.

    Raises:
        InputError: infinite values or labels that do not fit.
        UsageError: an empty margin, or alpha outside (0, 0.5).
    """
    lower, upper = margin if isinstance(margin, tuple) else (-margin, margin)
    if not lower < upper:
        raise UsageError(f"Margin {margin} is empty", fix="Give a positive margin, or (lower, upper).")
    _check_alpha(alpha)
    sample = _sample(values, groups)
    p_lower, p_upper = sample.p_above(lower), _p_below(sample, upper)
    low, high = sample.mean - sample.half_width(alpha), sample.mean + sample.half_width(alpha)
    p_value = float(np.maximum(p_lower, p_upper))  # NaN stays NaN
    return Equivalence(
        equivalent=bool(p_value < alpha), p_value=p_value, p_lower=p_lower, p_upper=p_upper,
        mean=sample.mean, low=low, high=high, margin=(float(lower), float(upper)),
        smallest_margin=float(np.maximum(abs(low), abs(high))), alpha=alpha,
        n=sample.n, n_groups=sample.n_groups, n_undefined=sample.n_undefined, note=sample.note,
    )  # fmt: skip


def non_inferiority(
    values: ArrayLike,
    margin: float,
    groups: Groups | None = None,
    *,
    alpha: float = 0.05,
    higher_is_better: bool = True,
) -> NonInferiority:
    """Test whether the mean of ``values`` [n] (new minus reference) is worse than zero by less than ``margin``.

    Args:
        margin: the largest loss that is acceptable, positive, in the units of the values.
        groups: a label per value; None makes each value a group.

    Raises:
        InputError: infinite values or labels that do not fit.
        UsageError: a margin that is not positive, or alpha outside (0, 0.5).
    """
    if not margin > 0:
        raise UsageError(f"Margin {margin} is not positive", fix="Give the largest loss that is acceptable.")
    _check_alpha(alpha)
    sample = _sample(values, groups)
    if higher_is_better:
        p_value, bound = sample.p_above(-margin), sample.mean - sample.half_width(alpha)
    else:
        p_value, bound = _p_below(sample, margin), sample.mean + sample.half_width(alpha)
    return NonInferiority(
        non_inferior=bool(p_value < alpha), p_value=p_value, mean=sample.mean, bound=bound, margin=float(margin),
        higher_is_better=higher_is_better, alpha=alpha,
        n=sample.n, n_groups=sample.n_groups, n_undefined=sample.n_undefined, note=sample.note,
    )  # fmt: skip


def _p_below(sample: _Sample, edge: float) -> float:
    """One-sided p of "the mean is at or above ``edge``"."""
    mirrored = _Sample(-sample.mean, sample.error, sample.freedom, sample.n, sample.n_groups, sample.n_undefined, "")
    return mirrored.p_above(-edge)


def _check_alpha(alpha: float) -> None:
    check_fraction(alpha, "alpha")
    if alpha >= 0.5:
        raise UsageError(f"alpha is {alpha}", fix="Use less than 0.5; 0.05 is the usual choice.")
