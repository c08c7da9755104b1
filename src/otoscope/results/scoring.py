"""From rows to scores: every score with an interval, its coverage, and nothing non-finite."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import pyarrow as pa

from otoscope.core.items import Factor
from otoscope.results.cells import Cell

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

    ``metric`` names the score; ``by`` are the factors it is computed for each combination of; ``columns`` are the row
    metrics it needs. ``statistic``: ``"mean"`` or ``"median"`` of the one column, or a callable of a :class:`Columns`
    that returns a number, ``(number, bound)`` with bound ``"<"``, ``">"`` or None, or, where ``gives_interval``, an
    :class:`Estimate`. A callable must be pure: the bootstrap calls it on every draw.
    """

    metric: str
    by: tuple[str, ...]
    columns: tuple[str, ...]
    statistic: Literal["mean", "median"] | Callable[[Columns], Any] = "mean"
    gives_interval: bool = False
    doc: str = ""
    unit: str = ""
    higher_is_better: bool | None = None


class Columns(Mapping[str, Any]):
    """Arrays of equal length ``n``: each metric (finite), each factor, and ``groups``, ``items``, ``base_ids``."""


@dataclass(frozen=True)
class Score:
    """The stable machine interface; :func:`dumps` writes it."""

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
    status: str = "ok"  # ok | undefined | empty
    seed: int | None = None
    cell: str | None = None


def score_cell(
    rows: pa.Table,
    measures: Sequence[Measure],
    *,
    cell: Cell,
    seed: int = 0,
    n_resamples: int = 2000,
    level: float = 0.95,
) -> list[Score]:
    """Scores of one cell's rows, in the order of ``measures`` and then of factors."""
    raise NotImplementedError


def dumps(scores: Sequence[Score]) -> str:
    """A JSON list, one score a line; strict JSON."""
    raise NotImplementedError
