"""From bootstrap replicates to an interval: percentile, and bias-corrected and accelerated (BCa).

BCa moves the two percentiles by the median bias z0 of the replicates and by the acceleration a, the skewness of
the statistic's jackknife values (Efron 1987; Efron & Tibshirani 1993, section 14.3). With several strata the
acceleration sums over strata, each with its own jackknife (Davison & Hinkley 1997, chapter 5). Where BCa is
undefined (equal replicates, all on one side of the value, no jackknife) the percentile interval stands in, and a
note says so.

Both are too short with few units, as the bootstrap's spread divides by n where the sample's divides by n - 1, and
takes normal quantiles where t's are due. ``tail_share`` widens the tails by just that (the expanded percentile of
Hesterberg 2015, The American Statistician 69:371; its use with BCa and with strata is ours).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri, stdtrit

from otoscope.stats.checks import Floats
from otoscope.stats.grouping import Scheme

_EPS = float(np.finfo(np.float64).eps)
METHODS = ("bca", "percentile")


@dataclass(frozen=True)
class Interval:
    """A value with its interval. NaN ends mean that no interval exists; ``note`` says why.

    ``n`` rows (of ``n + n_undefined``) in ``n_groups`` groups carry the value. ``method`` is the one that was
    used, which is ``percentile`` where BCa was asked for and undefined.
    """

    value: float
    low: float
    high: float
    level: float
    n: int
    n_groups: int
    n_undefined: int
    method: str
    within_groups: bool
    note: str = ""
    n_undefined_resamples: int = 0

    @property
    def coverage(self) -> float:
        """Share of the rows that were defined; NaN without rows."""
        total = self.n + self.n_undefined
        return self.n / total if total else float("nan")


def tail_share(level: float, scheme: Scheme, *, expand: bool) -> float:
    """Share of the resamples outside either end of an interval of ``level``; smaller when expanded for few units."""
    tail = (1.0 - level) / 2.0
    sizes = [len(units) for units in scheme.strata if len(units) > 1]
    freedom = sum(sizes) - len(sizes)
    if not expand or freedom == 0:
        return tail
    return float(ndtr(np.sqrt(sum(sizes) / freedom) * stdtrit(freedom, tail)))


def acceleration(jackknife: Sequence[Floats], scale: Floats) -> Floats:
    """BCa acceleration from jackknife values.

    Args:
        jackknife: per stratum the statistic without each unit in turn, [k, n_h].
        scale: [k] magnitude of the statistic, against which differences count as rounding.

    Returns:
        [k]; NaN where a value is NaN or all are equal.
    """
    cubes, squares = np.zeros_like(scale), np.zeros_like(scale)
    for values in jackknife:
        n = values.shape[1]
        influence = (n - 1) * (values.mean(axis=1, keepdims=True) - values) / n
        cubes += (influence**3).sum(axis=1)
        squares += (influence**2).sum(axis=1)
    defined = np.sqrt(squares) > 64 * _EPS * scale  # False for NaN
    return np.where(defined, cubes / (6 * np.where(defined, squares, 1.0) ** 1.5), np.nan)


def quantiles(ordered: Floats, n_defined: NDArray[np.intp], shares: Floats) -> Floats:
    """Linear-interpolation quantiles of sorted rows [k, B] whose first ``n_defined`` [k] entries count; shares [k]."""
    position = shares * (n_defined - 1)
    below = np.floor(position).astype(np.intp)
    above = np.minimum(below + 1, n_defined - 1)
    rows = np.arange(len(ordered))
    low = ordered[rows, below]
    return low + (position - below) * (ordered[rows, above] - low)


def ends(
    values: Floats, replicates: Floats, accelerations: Floats | None, tail: float
) -> tuple[Floats, Floats, list[str], list[str]]:
    """Interval ends for many statistics.

    Args:
        values: [k] observed statistics, not NaN.
        replicates: [k, B] bootstrap replicates; NaN where a resample left the statistic undefined (at least one
            per row is defined).
        accelerations: [k] for BCa, or None for the percentile interval.
        tail: share of the resamples outside either end (see ``tail_share``).

    Returns:
        low [k], high [k], the method used and a note (often empty) per statistic.
    """
    ordered = np.sort(replicates, axis=1)  # NaN last
    n_defined = (~np.isnan(ordered)).sum(axis=1)
    largest = np.fmax(np.abs(values), np.nanmax(np.abs(ordered), axis=1))
    slack = 16 * _EPS * largest
    away = ordered - values[:, None]
    below = (away < -slack[:, None]).sum(axis=1)
    above = (away > slack[:, None]).sum(axis=1)
    constant = (below == 0) & (above == 0)

    # A share below the normal quantile's reach leaves the extreme resamples as ends.
    tail = max(tail, float(np.finfo(np.float64).tiny))
    shares = np.tile([[tail], [1.0 - tail]], (1, len(values)))
    why = np.full(len(values), "", dtype=object)
    if accelerations is not None:
        shares, why = _bca_shares(shares, below, above, n_defined, accelerations)
    low, high = (np.where(constant, values, quantiles(ordered, n_defined, share)) for share in shares)
    method = "percentile" if accelerations is None else "bca"
    methods = ["percentile" if reason else method for reason in why]
    notes = [f"BCa undefined ({reason}): percentile interval" if reason else "" for reason in why]
    return low, high, methods, notes


def _bca_shares(
    shares: Floats, below: Floats, above: Floats, n_defined: NDArray[np.intp], accelerations: Floats
) -> tuple[Floats, NDArray[np.object_]]:
    """Shift the tail shares [2, k] by bias and acceleration; keep them, with the reason, where BCa is undefined."""
    bias_share = (below + 0.5 * (n_defined - below - above)) / n_defined
    one_sided = (bias_share <= 0) | (bias_share >= 1)
    bias = ndtri(np.where(one_sided, 0.5, bias_share))
    # A tail smaller than rounding makes a quantile infinite; beyond 40 standard deviations nothing changes.
    moved = np.clip(bias + ndtri(shares), -40.0, 40.0)
    denominator = 1.0 - np.where(np.isnan(accelerations), 0.0, accelerations) * moved
    singular = (denominator <= 0).any(axis=0)
    bca = ndtr(bias + moved / np.where(denominator > 0, denominator, 1.0))
    why = np.full(len(accelerations), "", dtype=object)
    why[singular] = "extreme acceleration"
    why[np.isnan(accelerations)] = "no acceleration"
    why[one_sided] = "all resamples on one side of the value"
    why[(below == 0) & (above == 0)] = "all resamples are equal"
    return np.where(why == "", bca, shares), why
