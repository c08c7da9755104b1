"""Values that may be known only as bounds, and what becomes of them in intervals and differences.

A threshold outside the tested range is "less than the lowest level" or "more than the highest", nothing more (ours;
after the rule never to extrapolate). Each draw of a bootstrap is therefore an interval of the extended line: a point,
(-inf, v], [v, inf), or everything where a fit is undefined. Differences subtract these intervals. An end of the
confidence interval is the quantile of the draws' ends on its side, and is missing where that quantile is infinite.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from otoscope.stats.checks import Floats

BOUND_OF_SIDE = {-1: "<", 0: None, 1: ">"}


@dataclass(frozen=True)
class Draws:
    """Bootstrap draws: ``value`` [B], NaN where undefined; ``side`` [B] -1 for "< value", 1 for "> value", else 0."""

    value: Floats
    side: NDArray[np.int8]

    def ends(self) -> tuple[Floats, Floats]:
        """Lower and upper end of each draw, [B] each, infinite where unknown."""
        undefined = np.isnan(self.value)
        low = np.where(undefined | (self.side < 0), -np.inf, self.value)
        high = np.where(undefined | (self.side > 0), np.inf, self.value)
        return low, high

    def minus(self, other: Draws) -> Draws:
        """Difference draw by draw; undefined where the two bounds leave it open on both sides."""
        side = np.sign(self.side - other.side)
        opposed = (self.side != 0) & (self.side == other.side)
        value = np.where(opposed, np.nan, self.value - other.value)
        return Draws(value, np.where(np.isnan(value), 0, side).astype(np.int8))


@dataclass(frozen=True)
class BoundedInterval:
    """A value (or bound) with an interval whose ends may be missing.

    ``bound`` is "<" or ">" where ``value`` is only a bound, and ``value`` is NaN where it is undefined. ``low`` or
    ``high`` is None where more draws than the tail holds are open on that side: the interval is unbounded there. The
    shares say how many draws were bounds "<", bounds ">" or undefined.
    """

    value: float
    bound: str | None
    low: float | None
    high: float | None
    level: float
    share_below: float
    share_above: float
    share_undefined: float
    n_resamples: int
    n_groups: int
    within_groups: bool
    note: str

    @property
    def low_unbounded(self) -> bool:
        return self.low is None

    @property
    def high_unbounded(self) -> bool:
        return self.high is None


def bounded_interval(
    point: Draws, draws: Draws, *, level: float, tail: float, n_groups: int, within_groups: bool, note: str
) -> BoundedInterval:
    """Percentile interval of ``draws`` around ``point`` (a single draw: the value on the data).

    Args:
        tail: share of the draws outside either end. Ends are draws themselves (no interpolation, outward).
    """
    low_ends, high_ends = draws.ends()
    low = float(np.quantile(low_ends, tail, method="lower"))
    high = float(np.quantile(high_ends, 1.0 - tail, method="higher"))
    undefined = np.isnan(draws.value)
    notes = [note] if note else []
    if not np.isfinite(low) or not np.isfinite(high):
        notes.append("unbounded: too many resamples lie outside the tested range or are undefined")
    return BoundedInterval(
        value=float(point.value[0]), bound=BOUND_OF_SIDE[int(point.side[0])],
        low=low if np.isfinite(low) else None, high=high if np.isfinite(high) else None, level=level,
        share_below=float((draws.side < 0).mean()), share_above=float((draws.side > 0).mean()),
        share_undefined=float(undefined.mean()), n_resamples=len(undefined),
        n_groups=n_groups, within_groups=within_groups, note="; ".join(notes),
    )  # fmt: skip
