"""From rows to scores: every score with an interval and its coverage, and nothing non-finite."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from otoscope.core.items import Factor
from otoscope.results.cells import Cell
from otoscope.results.columns import Columns, Observations, Rows, observe
from otoscope.results.medians import median_intervals
from otoscope.stats.bootstrap import cluster_bootstrap, mean_intervals
from otoscope.stats.intervals import Interval

Bound = Literal["<", ">"]


@dataclass(frozen=True)
class Estimate:
    """A statistic that brings its own interval (see ``Measure.gives_interval``)."""

    value: float | None
    low: float | None = None
    high: float | None = None
    bound: Bound | None = None
    note: str | None = None


@dataclass(frozen=True)
class Measure:
    """How a task's rows become one kind of score.

    ``metric`` names the score; it is computed for each combination of the factors ``by`` from the row metrics
    ``columns``. ``statistic`` is ``"mean"`` or ``"median"`` of the one column, or a callable of :class:`Columns` that
    returns a number (None or NaN: undefined), ``(number, bound)`` with bound ``"<"``, ``">"`` or None, or, where
    ``gives_interval``, an :class:`Estimate`. A callable must be pure: the bootstrap calls it on every draw.

    ``factors`` are written to every score beside those of ``by``: they tell apart measures that compare one level of a
    factor with another (a threshold difference, say).

    Rows with status ``ok`` and ``unparsed`` are observations (the latter hold what a wrong answer gets). An
    observation without a value in each of ``columns`` is undefined and counted.
    """

    metric: str
    by: tuple[str, ...]
    columns: tuple[str, ...]
    statistic: Literal["mean", "median"] | Callable[[Columns], Any] = "mean"
    gives_interval: bool = False
    doc: str = ""
    unit: str = ""
    higher_is_better: bool | None = None
    factors: Mapping[str, Factor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.columns:
            raise ValueError(f"measure {self.metric!r} needs a column")
        if isinstance(self.statistic, str):
            if self.statistic not in ("mean", "median"):
                raise ValueError(f"measure {self.metric!r}: there is no statistic {self.statistic!r}")
            if len(self.columns) != 1 or self.gives_interval:
                raise ValueError(
                    f"measure {self.metric!r}: a {self.statistic} is of one column and has no own interval"
                )


@dataclass(frozen=True)
class Score:
    """The stable machine interface; :func:`dumps` writes it. Numbers are finite or None.

    ``n`` observations in ``n_groups`` groups carry the value (``n_unparsed`` of them as wrong answers);
    ``n_undefined`` more had no value and ``n_failed`` items failed. ``status`` is ``ok``, ``undefined`` (there are
    observations but no value; ``note`` says why) or ``empty``.
    """

    task: str
    condition: str
    model: str
    intervention: str
    metric: str
    factors: Mapping[str, Factor] = field(default_factory=dict)
    value: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    n: int = 0
    n_groups: int = 0
    n_failed: int = 0
    n_undefined: int = 0
    n_unparsed: int = 0
    bound: Bound | None = None
    note: str | None = None
    status: str = "ok"
    seed: int | None = None
    cell: str | None = None

    def __post_init__(self) -> None:
        for name in ("value", "ci_low", "ci_high"):
            number = getattr(self, name)
            if number is not None and not math.isfinite(number):
                raise ValueError(f"{name} of score {self.metric!r} is {number!r}: use None")


def score_cell(
    rows: pa.Table,
    measures: Sequence[Measure],
    *,
    cell: Cell,
    seed: int = 0,
    n_resamples: int = 2000,
    level: float = 0.95,
) -> list[Score]:
    """Scores of one cell's ``rows`` (at least ``columns.ROW_COLUMNS``), in the order of ``measures`` and then of
    factors; a measure without any observation gives one empty score. Equal rows and seed give equal scores, whatever
    the order of the rows.

    Raises :class:`InputError` on contradictory rows (two of one item, metric and factors).
    """
    names = (cell.task, cell.condition, cell.model, cell.intervention)
    coded = Rows(rows)
    bootstrap = _Bootstrap(seed, n_resamples, level)
    scores: list[Score] = []
    for measure in measures:
        found = observe(coded, measure.columns, measure.by)
        if not found:
            scores.append(
                Score(*names, measure.metric, dict(measure.factors), status="empty", seed=cell.seed, cell=cell.cell)
            )
            continue
        estimates = bootstrap.estimates(measure, list(found.values()))
        for (combination, seen), (estimate, n_groups) in zip(found.items(), estimates, strict=True):
            own = {k: v for k, v in zip(measure.by, combination, strict=True) if v is not None}
            factors = {**own, **measure.factors}
            blank = Score(*names, measure.metric, factors, seed=cell.seed, cell=cell.cell)
            scores.append(_score(blank, seen, estimate, n_groups))
    return scores


def _score(blank: Score, seen: Observations, e: Estimate, n_groups: int) -> Score:
    value, low, high = _finite(e.value), _finite(e.low), _finite(e.high)
    status, note = "ok", e.note or None
    if seen.n == 0:
        status = "empty"
    elif value is None:
        status, low, high = "undefined", None, None
        note = note or "the statistic is undefined"
    return replace(
        blank,
        value=value,
        ci_low=low,
        ci_high=high,
        n=seen.n,
        n_groups=n_groups,
        n_failed=seen.n_failed,
        n_undefined=seen.n_undefined,
        n_unparsed=seen.n_unparsed,
        bound=None if value is None else e.bound,
        note=note,
        status=status,
    )


def _finite(x: float | None) -> float | None:
    return None if x is None or not math.isfinite(x) else float(x)


@dataclass(frozen=True)
class _Bootstrap:
    seed: int
    n_resamples: int
    level: float

    def estimates(self, measure: Measure, seen: Sequence[Observations]) -> Iterator[tuple[Estimate, int]]:
        """An estimate with its number of groups for each of ``seen``, in order."""
        named = self._named(measure, seen) if isinstance(measure.statistic, str) else {}
        for i, s in enumerate(seen):
            n_groups = len(np.unique(s.groups))
            if s.n == 0:
                yield Estimate(None), 0
            elif isinstance(measure.statistic, str):
                yield _estimate(named[i]), n_groups
            elif measure.gives_interval:
                yield self._own(measure, Columns(s)), n_groups
            else:
                yield self._statistic(measure, Columns(s)), n_groups

    def _named(self, measure: Measure, seen: Sequence[Observations]) -> dict[int, Interval]:
        """Means or medians: combinations with the same groups share their draws and one matrix product."""
        alike: dict[bytes, list[tuple[int, NDArray[np.float64]]]] = {}
        for i, s in enumerate(seen):
            order = np.argsort(s.groups, kind="stable")
            if s.n:
                alike.setdefault(s.groups[order].tobytes(), []).append((i, s.values[measure.columns[0]][order]))
        found: dict[int, Interval] = {}
        for groups, members in alike.items():
            stacked = np.stack([values for _, values in members])
            intervals = (mean_intervals if measure.statistic == "mean" else median_intervals)(
                stacked,
                np.frombuffer(groups, dtype=np.int64),
                n_resamples=self.n_resamples,
                level=self.level,
                seed=self.seed,
            )
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


def _number(measure: Measure, columns: Columns) -> tuple[float, Bound | None]:
    answer = measure.statistic(columns)  # type: ignore[operator]
    value, bound = answer if isinstance(answer, tuple) else (answer, None)
    if bound not in (None, "<", ">"):
        raise ValueError(f"measure {measure.metric!r}: a bound is '<', '>' or None, not {bound!r}")
    number = math.nan if value is None else float(value)
    return (number, bound) if math.isfinite(number) else (math.nan, None)


def _estimate(interval: Interval) -> Estimate:
    return Estimate(interval.value, interval.low, interval.high, None, interval.note or None)


def dumps(scores: Sequence[Score]) -> str:
    """A JSON list, one score a line, keys in the order of :class:`Score`. Strict JSON: no NaN, no infinity."""
    lines = [json.dumps(asdict(s), ensure_ascii=False, allow_nan=False) for s in scores]
    return "[\n" + ",\n".join(lines) + "\n]" if lines else "[]"
