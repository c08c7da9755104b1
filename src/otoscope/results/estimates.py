"""A measure's statistic with its bootstrap interval, for many combinations of factors at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otoscope.results.columns import Columns, Observations
from otoscope.results.measure import Bound, Estimate, Measure, Quantile
from otoscope.results.ofmeans import OfMeans
from otoscope.results.quantiles import quantile_intervals
from otoscope.stats.bootstrap import cluster_bootstrap, mean_intervals
from otoscope.stats.intervals import Interval


@dataclass(frozen=True)
class Bootstrap:
    """Values with intervals over groups. One seed for all combinations, so that equal groups share their draws."""

    seed: int
    n_resamples: int
    level: float

    def estimates(self, measure: Measure, seen: Sequence[Observations]) -> Iterator[tuple[Estimate, int]]:
        """An estimate with its number of groups for each of ``seen``, in order."""
        shared = self._shared(measure, seen) if _has_shared_draws(measure) else {}
        for i, s in enumerate(seen):
            n_groups = len(np.unique(s.groups))
            if s.n == 0:
                yield Estimate(None), 0
            elif i in shared:
                yield _estimate(shared[i]), n_groups
            elif measure.gives_interval:
                yield self._own(measure, Columns(s)), n_groups
            else:
                yield self._statistic(measure, Columns(s)), n_groups

    def _shared(self, measure: Measure, seen: Sequence[Observations]) -> dict[int, Interval]:
        """Combinations with the same groups share their draws and one matrix product."""
        alike: dict[bytes, list[tuple[int, NDArray[np.float64]]]] = {}
        for i, s in enumerate(seen):
            if s.n:
                order = np.argsort(s.groups, kind="stable")
                values = s.values[measure.columns[0]]
                if isinstance(measure.statistic, OfMeans):
                    values = measure.statistic.values(Columns(s))
                alike.setdefault(s.groups[order].tobytes(), []).append((i, values[..., order]))
        found: dict[int, Interval] = {}
        for groups, members in alike.items():
            values = np.stack([v for _, v in members])
            codes = np.frombuffer(groups, dtype=np.int64)
            how: dict[str, Any] = {"n_resamples": self.n_resamples, "level": self.level, "seed": self.seed}
            if isinstance(measure.statistic, OfMeans):
                intervals = measure.statistic.intervals(values, codes, **how)
            elif measure.statistic == "mean":
                intervals = mean_intervals(values, codes, **how)
            else:
                assert measure.quantile is not None
                intervals = quantile_intervals(values, codes, measure.quantile, **how)
            found.update(zip((i for i, _ in members), intervals, strict=True))
        return found

    def _own(self, measure: Measure, columns: Columns) -> Estimate:
        estimate = measure.statistic(columns)  # type: ignore[operator]
        if not isinstance(estimate, Estimate):
            raise TypeError(f"measure {measure.metric!r} gives its interval and must return an Estimate")
        return estimate

    def _statistic(self, measure: Measure, columns: Columns) -> Estimate:
        value, bound = _number(measure, columns)
        at_bound = 0

        def draw(rows: NDArray[Any]) -> float:
            nonlocal at_bound
            drawn, drawn_bound = _number(measure, columns.take(rows))
            at_bound += drawn_bound is not None
            return drawn

        if not math.isfinite(value):
            return Estimate(None)
        rows = np.arange(columns.n, dtype=np.int64)
        interval = cluster_bootstrap(
            rows, columns.groups, draw, n_resamples=self.n_resamples, level=self.level, seed=self.seed
        )
        estimate = replace(_estimate(interval), bound=bound)
        if at_bound > (bound is not None):  # the value itself was computed once more
            text = f"{at_bound} evaluations of the bootstrap are bounds, so the interval may end at one"
            estimate = replace(estimate, note="; ".join(t for t in (estimate.note, text) if t))
        return estimate


def _has_shared_draws(measure: Measure) -> bool:
    return isinstance(measure.statistic, str | Quantile | OfMeans)


def _number(measure: Measure, columns: Columns) -> tuple[float, Bound | None]:
    answer = measure.statistic(columns)  # type: ignore[operator]
    value, bound = answer if isinstance(answer, tuple) else (answer, None)
    if bound not in (None, "<", ">"):
        raise ValueError(f"measure {measure.metric!r}: a bound is '<', '>' or None, not {bound!r}")
    number = math.nan if value is None else float(value)
    return (number, bound) if math.isfinite(number) else (math.nan, None)


def _estimate(interval: Interval) -> Estimate:
    return Estimate(interval.value, interval.low, interval.high, None, interval.note or None)
