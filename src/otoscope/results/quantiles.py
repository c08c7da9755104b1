"""Bootstrap intervals of quantiles (the median, the 90th percentile), many at a time.

A quantile of n values is what lies at the rank ``q (n - 1)`` of the sorted ones, between two of them in proportion
(numpy's default). A resample is a weight per row, so its quantile is read off the cumulated weights of the sorted rows:
one matrix for all resamples. Percentile intervals, because the jackknife that BCa needs is inconsistent for a quantile
(Efron 1979).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from otoscope.stats.grouping import Scheme, scheme_of_codes
from otoscope.stats.intervals import Interval, ends, tail_share

_AT_ONCE = 4_000_000  # weights in memory


def quantile_intervals(
    values: NDArray[np.float64], groups: NDArray[np.int64], q: float, *, n_resamples: int, level: float, seed: int
) -> list[Interval]:
    """Intervals of the ``q`` quantiles of rows ``values`` [k, n] (finite) that share ``groups`` (codes [n]) and
    draws."""
    found = np.median(values, axis=1) if q == 0.5 else np.quantile(values, q, axis=1)
    n = values.shape[1]
    if n == 1:
        why = "a single item has no interval"
        return [Interval(float(m), np.nan, np.nan, level, 1, 1, 0, "none", False, why) for m in found]
    scheme = scheme_of_codes(groups.astype(np.intp))
    replicates = _replicates(values, q, scheme, n_resamples, seed)
    low, high, methods, notes = ends(found, replicates, None, tail_share(level, scheme, expand=True))
    return [
        Interval(
            float(found[j]),
            float(low[j]),
            float(high[j]),
            level,
            n,
            scheme.n_groups,
            0,
            methods[j],
            scheme.within_groups,
            "; ".join(t for t in (scheme.note, notes[j]) if t),
        )
        for j in range(len(values))
    ]


def _replicates(
    values: NDArray[np.float64], q: float, scheme: Scheme, n_resamples: int, seed: int
) -> NDArray[np.float64]:
    """Quantiles of the resamples, [k, n_resamples]."""
    k, n = values.shape
    unit_of_row = np.empty(n, dtype=np.intp)
    unit_of_row[scheme.order] = np.repeat(np.arange(scheme.n_units), scheme.sizes)
    order = np.argsort(values, axis=1, kind="stable")
    out = np.empty((k, n_resamples))
    done = 0
    for block in scheme.draws(n_resamples, seed):
        for start in range(0, len(block), step := max(1, _AT_ONCE // n)):
            weights = scheme.weights(block[start : start + step])
            here = slice(done, done + len(weights))
            for j in range(k):
                ordered = values[j, order[j]]
                cumulated = np.cumsum(weights[:, unit_of_row[order[j]]], axis=1)
                rank = q * (cumulated[:, -1:] - 1)  # among elements counted from 0
                low, high = (ordered[(cumulated > r(rank)).argmax(axis=1)] for r in (np.floor, np.ceil))
                share = (rank - np.floor(rank))[:, 0]
                out[j, here] = (1 - share) * low + share * high
            done += len(weights)
    return out
