"""Statistics that are functions of means, bootstrapped without a Python call per draw.

A ratio of sums, a level in dB, a root mean square and a correlation are all ``combine(mean(t1), mean(t2), ...)`` of
terms computed once per observation (Hall's smooth function model). Resampled means are weighted sums, so all draws of
all terms are one matrix product: much faster than calling a statistic on every draw, with the same result.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otoscope.results.columns import Columns
from otoscope.stats.grouping import Scheme, scheme_of_codes
from otoscope.stats.intervals import Interval, acceleration, ends, tail_share

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class OfMeans:
    """``combine`` of the means of ``terms``. A term maps :class:`Columns` to ``[n]``; ``combine`` gets an array per
    term and works element by element; where it gives NaN or infinity the statistic is undefined.

    The root mean square of x over that of y::

        OfMeans((lambda c: c["x"] ** 2, lambda c: c["y"] ** 2), lambda x2, y2: np.sqrt(x2 / y2))
    """

    terms: tuple[Callable[[Columns], NDArray[Any]], ...]
    combine: Callable[..., NDArray[Any]]

    def values(self, columns: Columns) -> Floats:
        """The terms of each observation, ``[t, n]``."""
        return np.stack([np.asarray(term(columns), dtype=np.float64) for term in self.terms])

    def intervals(
        self, values: Floats, groups: NDArray[np.int64], *, n_resamples: int, level: float, seed: int
    ) -> list[Interval]:
        """BCa intervals for ``k`` sets of observations ``[k, t, n]`` that share ``groups`` (codes ``[n]``) and draws:
        for each what ``cluster_bootstrap`` gives for the same statistic and seed."""
        k, _, n = values.shape
        found = self._combined(values.mean(axis=2).T)
        if n == 1:
            why = "a single item has no interval"
            return [Interval(float(v), np.nan, np.nan, level, 1, 1, 0, "none", False, why) for v in found]
        scheme = scheme_of_codes(groups.astype(np.intp))
        sums = np.add.reduceat(np.ascontiguousarray(values[:, :, scheme.order]), scheme.starts, axis=2)
        replicates = self._replicates(sums, scheme, n_resamples, seed)
        total = sums.sum(axis=2, keepdims=True)
        jackknife = [
            self._combined(((total - sums[:, :, units]) / (n - scheme.sizes[units])).transpose(1, 0, 2))
            for units in scheme.strata
            if len(units) > 1
        ]
        tail = tail_share(level, scheme, expand=True)
        out = []
        for j in range(k):
            lost = int(np.isnan(replicates[j]).sum())
            notes = [scheme.note, f"{lost} of {n_resamples} resamples undefined and left out" if lost else ""]
            low, high, used = np.nan, np.nan, "none"
            if np.isnan(found[j]):
                notes, lost = ["the statistic is undefined"], 0
            elif 2 * lost >= n_resamples:
                notes.append("too many: no interval")
            else:
                accelerations = acceleration([v[j : j + 1] for v in jackknife], np.abs(found[j : j + 1]))
                lows, highs, methods, reasons = ends(found[j : j + 1], replicates[j : j + 1], accelerations, tail)
                low, high, used = float(lows[0]), float(highs[0]), methods[0]
                notes += reasons
            note = "; ".join(t for t in notes if t)
            out.append(
                Interval(
                    float(found[j]), low, high, level, n, scheme.n_groups, 0, used, scheme.within_groups, note, lost
                )
            )
        return out

    def _combined(self, means: Floats) -> Floats:
        """``[t, ...]`` means -> ``[...]``, NaN where undefined."""
        with np.errstate(all="ignore"):
            found = np.asarray(self.combine(*means), dtype=np.float64)
        if found.shape != means.shape[1:]:
            raise ValueError(f"combine gave shape {found.shape} for means of shape {means.shape[1:]}")
        return np.where(np.isfinite(found), found, np.nan)

    def _replicates(self, sums: Floats, scheme: Scheme, n_resamples: int, seed: int) -> Floats:
        """``[k, t, units]`` sums -> the statistic of each draw, ``[k, n_resamples]``."""
        sizes = scheme.sizes.astype(np.float64)
        parts = []
        for draw in scheme.draws(n_resamples, seed):
            weights = scheme.weights(draw)
            parts.append(self._combined(((sums @ weights.T) / (weights @ sizes)).transpose(1, 0, 2)))
        return np.concatenate(parts, axis=1)
