"""Cluster bootstrap: an interval for any statistic of items that come in groups.

Whole groups are drawn with replacement and all their items come along; with fewer than 20 groups items are drawn
within groups (see ``grouping``). The interval is BCa with the jackknife over groups, or percentile (see
``intervals``). Means take a fast path: a resampled mean is a weighted quotient of group sums and group counts, so all
resamples of all columns are one matrix product.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from otoscope.core.errors import InputError
from otoscope.stats.checks import Floats, as_floats, check_choice, check_resamples
from otoscope.stats.grouping import (
    MIN_GROUPS,
    Groups,
    Scheme,
    Seed,
    by_missingness,
    group_codes,
    resample_groups,
    scheme_of,
    scheme_of_codes,
)
from otoscope.stats.intervals import METHODS, Interval, acceleration, ends, tail_share

__all__ = ["Interval", "cluster_bootstrap", "mean_intervals", "resample_groups"]

Statistic = Callable[[NDArray[np.generic]], float]
_COLUMNS_AT_ONCE = 1024


def cluster_bootstrap(
    values: ArrayLike,
    groups: Groups | None,
    statistic: Statistic | Literal["mean"] = "mean",
    *,
    n_resamples: int = 2000,
    level: float = 0.95,
    method: str = "bca",
    expand: bool = True,
    seed: Seed,
    min_groups: int = MIN_GROUPS,
) -> Interval:
    """Bootstrap interval of ``statistic`` over groups of rows.

    Args:
        values: [n, ...]; for ``"mean"`` [n], where NaN marks an undefined value, is left out and counted.
        groups: a label per row, [n]; None makes each row a group.
        statistic: ``"mean"``, or a function of resampled rows [m, ...] that returns a number, NaN where undefined.
            A function gets NaN rows as they are. Resamples where it is undefined are left out, counted in
            ``n_undefined_resamples`` and named in the note; from half of them on there is no interval.
        method: ``"bca"`` or ``"percentile"``.
        expand: widen the interval for few groups (see ``intervals``); without it 20 groups cover 92 %, not 95 %.

    Raises:
        InputError: no rows, infinite values (mean), or labels that do not fit the rows.
        UsageError: an unknown statistic or method, a level outside (0, 1), or too few resamples for the level.
    """
    if isinstance(statistic, str):
        check_choice(statistic, ("mean",), "statistic")
        column = as_floats(values, ndim=1, what="Values of a mean (use mean_intervals for many columns)")
        return mean_intervals(
            column[None], groups, n_resamples=n_resamples, level=level, method=method, expand=expand, seed=seed,
            min_groups=min_groups,
        )[0]  # fmt: skip
    check_choice(method, METHODS, "method")
    check_resamples(n_resamples, level)
    rows = np.asarray(values)
    if rows.ndim == 0:
        raise InputError("Values are a single number", fix="Pass an array with one row per item.")
    scheme = scheme_of(groups, len(rows), min_groups=min_groups)
    value = float(statistic(rows))
    count = {"n": len(rows), "n_groups": scheme.n_groups, "n_undefined": 0}
    if np.isnan(value) or len(rows) == 1:
        why = "the statistic is undefined" if np.isnan(value) else "a single item has no interval"
        return Interval(value, np.nan, np.nan, level, **count, method="none", within_groups=False, note=why)
    replicates = np.array(
        [statistic(rows[scheme.rows(draw)]) for block in scheme.draws(n_resamples, seed) for draw in block],
        dtype=np.float64,
    )
    n_lost = int(np.isnan(replicates).sum())
    notes = [scheme.note] if scheme.note else []
    if n_lost:
        notes.append(f"{n_lost} of {n_resamples} resamples undefined and left out")
    if 2 * n_lost >= n_resamples:
        notes.append("too many: no interval")
        return Interval(
            value, np.nan, np.nan, level, **count, method="none", within_groups=scheme.within_groups,
            note="; ".join(notes), n_undefined_resamples=n_lost,
        )  # fmt: skip
    accelerations = None
    if method == "bca":
        jackknife = [
            np.array([[statistic(rows[scheme.rows_without(unit)]) for unit in units]], dtype=np.float64)
            for units in scheme.strata
            if len(units) > 1
        ]
        accelerations = acceleration(jackknife, np.array([abs(value)]))
    tail = tail_share(level, scheme, expand=expand)
    low, high, used, why_not = ends(np.array([value]), replicates[None], accelerations, tail)
    notes += [note for note in why_not if note]
    return Interval(
        value, float(low[0]), float(high[0]), level, **count, method=used[0], within_groups=scheme.within_groups,
        note="; ".join(notes), n_undefined_resamples=n_lost,
    )  # fmt: skip


def mean_intervals(
    values: ArrayLike,
    groups: Groups | None,
    *,
    n_resamples: int = 2000,
    level: float = 0.95,
    method: str = "bca",
    expand: bool = True,
    seed: Seed,
    min_groups: int = MIN_GROUPS,
) -> list[Interval]:
    """Bootstrap intervals of the means of many rows that share their groups and their draws.

    Row j gives what ``cluster_bootstrap(values[j], groups, "mean")`` gives with the same seed, up to rounding.

    Args:
        values: [k, n]; NaN marks an undefined value, which is left out of its row and counted.
        groups: a label per column, [n]; None makes each column a group.

    Raises:
        InputError: no items, infinite values, or labels that do not fit.
        UsageError: an unknown method, a level outside (0, 1), or too few resamples for the level.
    """
    check_choice(method, METHODS, "method")
    check_resamples(n_resamples, level)
    table = as_floats(values, ndim=2, what="Values")
    codes, _ = group_codes(groups, table.shape[1])
    if table.shape[1] == 0:
        raise InputError("There are no items to resample")
    results: list[Interval | None] = [None] * len(table)
    for columns, keep in by_missingness(np.isnan(table)):
        lost = int((~keep).sum())
        n = len(keep) - lost
        scheme = scheme_of_codes(codes[keep], min_groups=min_groups) if n else None
        for start in range(0, len(columns), _COLUMNS_AT_ONCE):
            chosen = columns[start : start + _COLUMNS_AT_ONCE]
            if scheme is None or n == 1:
                for column in chosen:
                    value = float(table[column, keep][0]) if n else float("nan")
                    why = "a single item has no interval" if n else "no defined value"
                    results[column] = Interval(value, np.nan, np.nan, level, n, n, lost, "none", False, why)
                continue
            block = _mean_block(table[np.ix_(chosen, keep)], scheme, n_resamples, level, method, expand, seed, lost)
            for column, interval in zip(chosen, block, strict=True):
                results[column] = interval
    return [interval for interval in results if interval is not None]


def _mean_block(
    values: Floats, scheme: Scheme, n_resamples: int, level: float, method: str, expand: bool, seed: Seed, lost: int
) -> list[Interval]:
    """Intervals of the means of [k, n] values without NaN."""
    sums = np.add.reduceat(np.ascontiguousarray(values[:, scheme.order]), scheme.starts, axis=1)
    sizes = scheme.sizes.astype(np.float64)
    total, n = sums.sum(axis=1), values.shape[1]
    means = total / n
    replicates = np.empty((len(values), n_resamples))
    done = 0
    for draw in scheme.draws(n_resamples, seed):
        weights = scheme.weights(draw)
        replicates[:, done : done + len(draw)] = (sums @ weights.T) / (weights @ sizes)
        done += len(draw)
    # A constant row must not get an interval as wide as the rounding of its sums.
    constant = values.max(axis=1) == values.min(axis=1)
    means[constant] = values[constant, 0]
    replicates[constant] = means[constant, None]
    accelerations = None
    if method == "bca":
        jackknife = [
            (total[:, None] - sums[:, units]) / (n - sizes[units]) for units in scheme.strata if len(units) > 1
        ]
        accelerations = acceleration(jackknife, np.abs(values).max(axis=1))
    tail = tail_share(level, scheme, expand=expand)
    low, high, used, notes = ends(means, replicates, accelerations, tail)
    return [
        Interval(
            float(means[j]), float(low[j]), float(high[j]), level, n, scheme.n_groups, lost, used[j],
            scheme.within_groups, "; ".join(note for note in (scheme.note, notes[j]) if note),
        )
        for j in range(len(values))
    ]  # fmt: skip
