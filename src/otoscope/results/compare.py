"""The paired experiment: the same items with one thing changed, and what the difference is worth.

Items are paired on ``base_id`` and equal factors (and on the seed of their cells). Every comparison of one call is in
one family of tests: Holm's correction bounds the chance of a single false finding in the whole table,
Benjamini-Hochberg's the share of false ones among the findings.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from otoscope.core.errors import InputError, UsageError
from otoscope.core.items import Factor
from otoscope.results.cells import Cell
from otoscope.results.columns import ROW_COLUMNS, Combination, Observations, Rows, observe
from otoscope.results.schema import WHOLE_ITEM
from otoscope.results.store import Results
from otoscope.stats.bootstrap import mean_intervals
from otoscope.stats.correction import benjamini_hochberg, holm
from otoscope.stats.grouping import group_codes, group_spread
from otoscope.stats.paired import hedges_dz
from otoscope.stats.permutation import sign_flip_many
from otoscope.stats.power import smallest_detectable_effect

Axis = Literal["model", "condition", "intervention"]
AXES: tuple[Axis, ...] = ("model", "condition", "intervention")


@dataclass(frozen=True)
class Comparison:
    """``other`` minus ``baseline`` over ``n`` pairs; numbers are finite or None.

    ``n_unmatched`` values of one side had no partner with a value on the other, for whatever reason; ``n_failed`` items
    failed and ``n_undefined`` observations had no value, on either side. ``p`` is from sign flips over groups;
    ``smallest_detectable`` is the difference that this many groups would have shown with probability 0.8.
    """

    task: str
    between: str
    baseline: str
    other: str
    fixed: Mapping[str, str]  # the other two axes
    metric: str
    factors: Mapping[str, Factor] = field(default_factory=dict)
    baseline_mean: float | None = None
    other_mean: float | None = None
    difference: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    effect_size: float | None = None
    p: float | None = None
    p_holm: float | None = None
    p_bh: float | None = None
    smallest_detectable: float | None = None
    n: int = 0
    n_groups: int = 0
    n_unmatched: int = 0
    n_undefined: int = 0
    n_failed: int = 0
    note: str | None = None


@dataclass
class _Pairs:
    """One comparison before statistics: values ``[n]`` of both sides and the group of each pair."""

    blank: Comparison
    baseline: NDArray[np.float64]
    other: NDArray[np.float64]
    groups: tuple[str, ...]


def compare(
    results: Results,
    between: Axis = "model",
    baseline: str = "",
    metrics: Iterable[str] | None = None,
    *,
    others: Iterable[str] | None = None,
    seed: int = 0,
    level: float = 0.95,
    n_resamples: int = 2000,
    n_permutations: int = 10_000,
) -> list[Comparison]:
    """Compare what differs only in ``between`` with ``baseline``, for every row metric and combination of factors.
    ``others``: what is compared (all); the correction is over what was compared.

    A factor that has one value throughout one side and another throughout the other says what is compared, and is not
    paired on. Raises :class:`UsageError` where nothing is called ``baseline``, and :class:`InputError` where pairs are
    ambiguous.
    """
    if between not in AXES:
        raise UsageError(f"cannot compare between {between!r}", fix=f"One of: {', '.join(AXES)}.")
    cells = [c for c in results.cells() if c.status != "superseded"]
    chosen = None if others is None else {baseline, *others}
    known = sorted({getattr(c, between) for c in cells})
    if baseline not in known:
        raise UsageError(
            f"no {between} is called {baseline!r}",
            where=str(results.path),
            fix=f"There are: {', '.join(known) or 'none'}.",
        )
    if chosen is not None:
        cells = [c for c in cells if getattr(c, between) in chosen]
    wanted = None if metrics is None else sorted(set(metrics))
    pairs = list(_all_pairs(results, cells, between, baseline, wanted))
    found = _with_statistics(pairs, np.random.SeedSequence(seed), level, n_resamples, n_permutations)
    p = np.array([math.nan if c.p is None else c.p for c in found])
    return [
        replace(c, p_holm=_finite(h), p_bh=_finite(b))
        for c, h, b in zip(found, holm(p), benjamini_hochberg(p), strict=True)
    ]


# --- pairing ---------------------------------------------------------------------------------------------------------


def _all_pairs(
    results: Results, cells: Sequence[Cell], between: Axis, baseline: str, metrics: Sequence[str] | None
) -> Iterator[_Pairs]:
    others = tuple(a for a in AXES if a != between)
    settings: dict[tuple[str, ...], dict[str, dict[int, Cell]]] = {}
    for c in cells:
        by_seed = settings.setdefault((c.task, *(getattr(c, a) for a in others)), {}).setdefault(
            getattr(c, between), {}
        )
        if c.seed in by_seed:
            raise InputError(
                f"cells {by_seed[c.seed].cell} and {c.cell} are both called {c.alias}: which one is meant?",
                where=str(results.path),
                fix="Compare directories that hold one version each.",
            )
        by_seed[c.seed] = c
    for (task, *rest), sides in sorted(settings.items()):
        coded = {name: {s: _rows(results, c, metrics) for s, c in sides[name].items()} for name in sides}
        for other in sorted(sides):
            if other == baseline:
                continue
            blank = Comparison(task, between, baseline, other, dict(zip(others, rest, strict=True)), WHOLE_ITEM)
            if baseline not in sides:
                yield _no_pairs(replace(blank, note=f"{baseline} was not run here"))
                continue
            yield from _pair_sides(blank, coded[baseline], coded[other])


def _rows(results: Results, cell: Cell, metrics: Sequence[str] | None) -> Rows:
    return Rows(results.rows(cells=[cell.cell], metrics=metrics, columns=ROW_COLUMNS))


def _no_pairs(blank: Comparison) -> _Pairs:
    return _Pairs(blank, np.empty(0), np.empty(0), ())


def _pair_sides(blank: Comparison, a: Mapping[int, Rows], b: Mapping[int, Rows]) -> Iterator[_Pairs]:
    names = _pairing_factors(list(a.values()), list(b.values()))
    metrics = sorted({m for r in (*a.values(), *b.values()) for m in r.metric.words.tolist()} - {WHOLE_ITEM})
    for metric in metrics:
        seen = [{s: observe(rows, (metric,), names) for s, rows in side.items()} for side in (a, b)]
        combinations = dict.fromkeys(c for side in seen for found in side.values() for c in found)
        for combination in combinations:
            factors = {k: v for k, v in zip(names, combination, strict=True) if v is not None}
            yield _pair(replace(blank, metric=metric, factors=factors), combination, metric, *seen)


def _pairing_factors(a: Sequence[Rows], b: Sequence[Rows]) -> list[str]:
    """All factor names but those that tell the sides apart."""
    values: list[dict[str, set[Factor | None]]] = []
    names = sorted({n for rows in (*a, *b) for f in rows.factor_values for n in f})
    for side in (a, b):
        values.append({n: {f.get(n) for rows in side for f in rows.factor_values} for n in names})
    return [n for n in names if not (len(values[0][n]) == len(values[1][n]) == 1 and values[0][n] != values[1][n])]


def _pair(
    blank: Comparison,
    combination: Combination,
    metric: str,
    a: Mapping[int, Mapping[Combination, Observations]],
    b: Mapping[int, Mapping[Combination, Observations]],
) -> _Pairs:
    left, right = (_values(side, combination, metric) for side in (a, b))
    shared = sorted(left.keys() & right.keys())
    here = [o[combination] for side in (a, b) for o in side.values() if combination in o]
    counted = replace(
        blank,
        n_unmatched=len(left.keys() ^ right.keys()),
        n_undefined=sum(o.n_undefined for o in here),
        n_failed=sum(o.n_failed for o in here),
    )
    groups = tuple(left[k][1] for k in shared)
    if moved := [k for k in shared if left[k][1] != right[k][1]]:
        raise InputError(f"item {moved[0][1]!r} is in group {left[moved[0]][1]!r} and in {right[moved[0]][1]!r}")
    return _Pairs(counted, np.array([left[k][0] for k in shared]), np.array([right[k][0] for k in shared]), groups)


def _values(
    side: Mapping[int, Mapping[Combination, Observations]], combination: Combination, metric: str
) -> dict[tuple[int, str], tuple[float, str]]:
    """(seed, base_id) -> value and group."""
    found: dict[tuple[int, str], tuple[float, str]] = {}
    for seed, by_combination in side.items():
        o = by_combination.get(combination)
        if o is None:
            continue
        base_ids, groups = (w.words[w.codes[o.row]].tolist() for w in (o.rows.base_id, o.rows.group))
        for base_id, group, value in zip(base_ids, groups, o.values[metric].tolist(), strict=True):
            if (seed, base_id) in found:
                raise InputError(
                    f"two items of base {base_id!r} have equal factors: which is the partner?", where=metric
                )
            found[seed, base_id] = (value, group)
    return found


# --- statistics ------------------------------------------------------------------------------------------------------


def _with_statistics(
    pairs: Sequence[_Pairs], root: np.random.SeedSequence, level: float, n_resamples: int, n_permutations: int
) -> list[Comparison]:
    """What ``paired_comparison`` gives for each, with draws and matrix products shared by equal groups."""
    for_interval, for_test = (np.random.SeedSequence(root.entropy, spawn_key=(key,)) for key in (0, 1))
    done: dict[int, Comparison] = {}
    for groups, batch in itertools.groupby(
        sorted(range(len(pairs)), key=lambda i: pairs[i].groups), lambda i: pairs[i].groups
    ):
        members = list(batch)
        if not groups:
            done.update((i, pairs[i].blank) for i in members)
            continue
        codes, n_groups = group_codes(groups, len(groups))
        differences = np.stack([pairs[i].other - pairs[i].baseline for i in members])
        intervals = mean_intervals(differences, codes, n_resamples=n_resamples, level=level, seed=for_interval)
        tests = sign_flip_many(differences, codes, n_permutations=n_permutations, seed=for_test)
        spreads = group_spread(differences, codes).tolist()
        for i, d, interval, test, spread in zip(members, differences, intervals, tests, spreads, strict=True):
            done[i] = replace(
                pairs[i].blank,
                baseline_mean=_finite(float(pairs[i].baseline.mean())),
                other_mean=_finite(float(pairs[i].other.mean())),
                difference=_finite(interval.value),
                ci_low=_finite(interval.low),
                ci_high=_finite(interval.high),
                effect_size=_finite(hedges_dz(d)),
                p=_finite(test.p_value),
                smallest_detectable=_finite(_detectable(n_groups, 1.0 - level) * spread),
                n=len(d),
                n_groups=n_groups,
                note=interval.note or None,
            )
    return [done[i] for i in range(len(pairs))]


@lru_cache(maxsize=1024)
def _detectable(n_groups: int, alpha: float) -> float:
    """In standard deviations between groups."""
    return smallest_detectable_effect(n_groups, 1.0, 0.8, alpha)


def _finite(x: float) -> float | None:
    return float(x) if math.isfinite(x) else None
