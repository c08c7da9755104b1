"""From rows to scores: every score with an interval and its coverage, and nothing non-finite."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import pyarrow as pa

from otoscope.core.display import Displayed, Shown
from otoscope.core.items import Factor
from otoscope.results.cells import Cell
from otoscope.results.columns import Columns, Observations, Rows, observe
from otoscope.results.estimates import Bootstrap
from otoscope.results.measure import Bound, Estimate, Measure, Quantile
from otoscope.results.ofmeans import OfMeans

__all__ = ["Bound", "Columns", "Estimate", "Measure", "OfMeans", "Quantile", "Score", "Scores", "dumps", "score_cell"]


@dataclass(frozen=True)
class Score:
    """The stable machine interface; :func:`dumps` writes it. Numbers are finite or None.

    ``n`` observations in ``n_groups`` groups carry the value (``n_unparsed`` of them as wrong answers, and
    ``n_in_training`` of them on recordings that the model was trained on, which makes the value no held-out figure);
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
    n_in_training: int = 0
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


class Scores(list[Score], Displayed):
    """A list of scores that shows itself as a table."""

    def shown(self) -> Shown:
        header = ("model", "task", "condition", "metric", "factors", "value", "95 %", "n", "failed", "note")
        return Shown(f"{len(self)} scores", None, header, [_row(s) for s in self])

    def __repr__(self) -> str:
        return self.shown().text(160)


def _row(s: Score) -> tuple[Any, ...]:
    """A line of the table; bounds say so."""
    changed = s.model if s.intervention == "none" else f"{s.model} | {s.intervention}"
    value = None if s.value is None else f"{s.bound or ''}{s.value:.4g}"
    interval = None if s.ci_low is None and s.ci_high is None else f"[{_end(s.ci_low)}, {_end(s.ci_high)}]"
    where = " ".join(f"{k}={v}" for k, v in s.factors.items())
    return changed, s.task, s.condition, s.metric, where, value, interval, s.n, s.n_failed, s.note or ""


def _end(value: float | None) -> str:
    """An end of an interval; it may be open."""
    return "?" if value is None else f"{value:.3g}"


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
    bootstrap = Bootstrap(seed, n_resamples, level)
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
    if seen.n_in_training:
        known = f"{seen.n_in_training} of {seen.n} were in the model's training"
        note = f"{note}; {known}" if note else known
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
        n_in_training=seen.n_in_training,
        bound=None if value is None else e.bound,
        note=note,
        status=status,
    )


def _finite(x: float | None) -> float | None:
    return None if x is None or not math.isfinite(x) else float(x)


def dumps(scores: Sequence[Score]) -> str:
    """A JSON list, one score a line, keys in the order of :class:`Score`. Strict JSON: no NaN, no infinity."""
    lines = [json.dumps(asdict(s), ensure_ascii=False, allow_nan=False) for s in scores]
    return "[\n" + ",\n".join(lines) + "\n]" if lines else "[]"
