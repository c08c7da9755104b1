"""Intervals of psychometric thresholds and of their differences, by refitting resampled trials.

All conditions are resampled together: a group (a noise seed, a listener) that is drawn brings its trials of every
level and every condition, so that differences between conditions keep what the conditions share (Davison & Hinkley
1997, section 3.8). Without per-trial outcomes the parametric bootstrap draws binomial counts from the fitted curves
(Wichmann & Hill 2001b). Draws outside the tested range stay bounds all the way (see ``bounds``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Unpack

import numpy as np
from numpy.typing import ArrayLike

from otoscope.core.errors import InputError
from otoscope.stats.bounds import BoundedInterval, Draws, bounded_interval
from otoscope.stats.checks import Floats, as_floats, check_resamples
from otoscope.stats.grouping import MIN_GROUPS, Groups, Seed, scheme_of
from otoscope.stats.intervals import tail_share
from otoscope.stats.likelihood import Family
from otoscope.stats.psychometric import (
    FitSettings,
    PsychometricFit,
    counts_of,
    family_of,
    fit_psychometric,
    predict,
    thresholds,
)

Levels = ArrayLike | Mapping[str, ArrayLike]


@dataclass(frozen=True)
class ThresholdBootstrap:
    """Fits and joint threshold draws of named conditions; draw b of each condition rests on the same resample b."""

    fits: Mapping[str, PsychometricFit]
    draws: Mapping[str, Draws]
    level: float
    tail: float
    n_groups: int
    within_groups: bool
    note: str

    def interval(self, name: str) -> BoundedInterval:
        """Threshold of condition ``name`` with its percentile interval."""
        return self._bounded(self._point(name), self._drawn(name))

    def difference(self, first: str, second: str) -> BoundedInterval:
        """Threshold of ``first`` minus that of ``second``; bounds on either carry over to the difference."""
        point = self._point(first).minus(self._point(second))
        return self._bounded(point, self._drawn(first).minus(self._drawn(second)))

    def _bounded(self, point: Draws, draws: Draws) -> BoundedInterval:
        return bounded_interval(
            point, draws, level=self.level, tail=self.tail, n_groups=self.n_groups,
            within_groups=self.within_groups, note=self.note,
        )  # fmt: skip

    def _drawn(self, name: str) -> Draws:
        if name not in self.draws:
            raise InputError(f"No condition {name!r}", fix=f"Conditions: {', '.join(sorted(self.draws))}.")
        return self.draws[name]

    def _point(self, name: str) -> Draws:
        self._drawn(name)
        fit = self.fits[name]
        side = {"<": -1, None: 0, ">": 1}[fit.bound]
        return Draws(np.array([fit.threshold]), np.array([side], dtype=np.int8))


def threshold_bootstrap(
    x: Levels,
    trials: Mapping[str, ArrayLike],
    groups: Groups | None = None,
    *,
    n_resamples: int = 2000,
    level: float = 0.95,
    seed: Seed,
    min_groups: int = MIN_GROUPS,
    **settings: Unpack[FitSettings],
) -> ThresholdBootstrap:
    """Bootstrap thresholds of several conditions jointly from per-trial outcomes.

    Args:
        x: [L] levels of all conditions, or one array per condition.
        trials: per condition [n_rows, L] outcomes 0 or 1 (0.5 for a tie, or the share correct of several trials); NaN
            where a row was not tested. Row i of every condition belongs to the same group.
        groups: a label per row; None makes each row (each seed) a group. With few groups rows are drawn within them.
        settings: guess, sigmoid, lapse, lapse_max and target, as in ``fit_psychometric``.

    The interval is percentile, expanded for few groups.

    Raises:
        InputError: shapes that do not fit, outcomes outside 0 to 1, a level without any trial, or fewer than 2 rows.
        UsageError: contradictory settings, or too few resamples for the level.
    """
    check_resamples(n_resamples, level)
    families, tables = {}, {}
    for name, outcomes in _named(trials).items():
        families[name] = family_of(_levels(x, name), **settings)
        tables[name] = _outcomes(outcomes, name, families[name])
    rows = {len(table) for table in tables.values()}
    if len(rows) != 1 or min(rows) < 2:
        raise InputError(f"Conditions have {sorted(rows)} rows", fix="Give all the same groups as rows, at least 2.")
    scheme = scheme_of(groups, rows.pop(), min_groups=min_groups)
    fits, draws = {}, {}
    for name, table in tables.items():
        family, tested = families[name], ~np.isnan(table)
        correct, total = (
            np.add.reduceat(part[scheme.order], scheme.starts) for part in (np.where(tested, table, 0.0), 1.0 * tested)
        )
        fits[name] = fit_psychometric(family.x, correct.sum(axis=0), total.sum(axis=0), **settings)
        k, n = np.empty((2, n_resamples, len(family.x)))
        done = 0
        # The same seed for every condition: that is what makes the draws joint.
        for draw in scheme.draws(n_resamples, seed):
            weights = scheme.weights(draw)
            k[done : done + len(draw)], n[done : done + len(draw)] = weights @ correct, weights @ total
            done += len(draw)
        draws[name] = thresholds(family, k, n, fits[name].target)[0]
    return ThresholdBootstrap(
        fits, draws, level, tail_share(level, scheme, expand=True), scheme.n_groups, scheme.within_groups, scheme.note
    )


def parametric_threshold_bootstrap(
    x: Levels,
    counts: Mapping[str, tuple[ArrayLike, ArrayLike]],
    *,
    n_resamples: int = 2000,
    level: float = 0.95,
    seed: Seed,
    **settings: Unpack[FitSettings],
) -> ThresholdBootstrap:
    """Bootstrap thresholds from counts alone, drawing binomial counts from each condition's fitted curve.

    Trials count as independent, also between conditions; where outcomes per group exist, ``threshold_bootstrap`` is
    the honest choice.

    Args:
        x: [L] levels of all conditions, or one array per condition.
        counts: per condition (correct trials [L], trials [L] or one number); trials are whole numbers.
        settings: guess, sigmoid, lapse, lapse_max and target, as in ``fit_psychometric``.

    Raises:
        InputError: counts that do not fit the levels.
        UsageError: contradictory settings, or too few resamples for the level.
    """
    check_resamples(n_resamples, level)
    fits, draws = {}, {}
    rng = np.random.default_rng(seed)
    for name in sorted(_named(counts)):
        family = family_of(_levels(x, name), **settings)
        correct, total = counts_of(family, *counts[name])
        if (total != np.round(total)).any():
            raise InputError(f"Numbers of trials of {name} are no whole numbers")
        fits[name] = fit_psychometric(family.x, correct, total, **settings)
        share = np.clip(predict(fits[name], family.x), 0.0, 1.0)
        k = rng.binomial(total.astype(np.int64), share, size=(n_resamples, len(total))).astype(np.float64)
        draws[name] = thresholds(family, k, np.broadcast_to(total, k.shape), fits[name].target)[0]
    note = "parametric bootstrap: trials count as independent"
    return ThresholdBootstrap(fits, draws, level, (1.0 - level) / 2.0, 0, False, note)


def _named(conditions: Mapping[str, object]) -> Mapping[str, object]:
    if not conditions:
        raise InputError("There are no conditions", fix="Name at least one.")
    return conditions


def _levels(x: Levels, name: str) -> ArrayLike:
    if not isinstance(x, Mapping):
        return x
    if name not in x:
        raise InputError(f"Condition {name!r} has no levels", fix="Give x per condition, or once for all.")
    return x[name]


def _outcomes(outcomes: object, name: str, family: Family) -> Floats:
    """Checked outcomes [n_rows, L]."""
    table = as_floats(outcomes, ndim=2, what=f"Outcomes of {name}")  # type: ignore[arg-type]
    if table.shape[1] != len(family.x):
        raise InputError(f"Outcomes of {name} have {table.shape[1]} levels, x has {len(family.x)}")
    if ((table < 0) | (table > 1)).any():
        raise InputError(f"Outcomes of {name} lie outside 0 to 1")
    return table
