"""What a task says about its scores: which statistic of which rows, for which factors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from otoscope.core.items import Factor
from otoscope.results.columns import Columns
from otoscope.results.ofmeans import OfMeans

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
class Quantile:
    """The value below which a share ``q`` (0 to 1) of the observations lies: ``Quantile(0.9)`` is the 90th
    percentile."""

    q: float

    def __post_init__(self) -> None:
        if not 0 <= self.q <= 1:
            raise ValueError(f"a quantile is of a share between 0 and 1, not of {self.q}")


@dataclass(frozen=True)
class Measure:
    """How a task's rows become one kind of score.

    ``metric`` names the score; it is computed for each combination of the factors ``by`` from the row metrics
    ``columns``. ``statistic`` is ``"mean"``, ``"median"`` or a :class:`Quantile` of the one column; an
    :class:`OfMeans`, which is the fast way to write ratios, levels and root mean squares; or a callable of
    :class:`Columns` that returns a number (None or NaN: undefined), ``(number, bound)`` with bound ``"<"``, ``">"`` or
    None, or, where ``gives_interval``, an :class:`Estimate`. A callable must be pure: the bootstrap calls it on every
    draw.

    ``factors`` are written to every score beside those of ``by``: they tell apart measures that compare one level of a
    factor with another (a threshold difference, say).

    Rows with status ``ok`` and ``unparsed`` are observations (the latter hold what a wrong answer gets). An
    observation without a value in each of ``columns`` is undefined and counted.
    """

    metric: str
    by: tuple[str, ...]
    columns: tuple[str, ...]
    statistic: Literal["mean", "median"] | Quantile | OfMeans | Callable[[Columns], Any] = "mean"
    gives_interval: bool = False
    doc: str = ""
    unit: str = ""
    higher_is_better: bool | None = None
    factors: Mapping[str, Factor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.columns:
            raise ValueError(f"measure {self.metric!r} needs a column")
        if isinstance(self.statistic, str) and self.statistic not in ("mean", "median"):
            raise ValueError(f"measure {self.metric!r}: there is no statistic {self.statistic!r}")
        if isinstance(self.statistic, str | Quantile) and (len(self.columns) != 1 or self.gives_interval):
            called = self.statistic if isinstance(self.statistic, str) else "quantile"
            raise ValueError(f"measure {self.metric!r}: a {called} is of one column and has no own interval")

    @property
    def quantile(self) -> float | None:
        """The share that ``statistic`` is a quantile of; None where it is none."""
        if isinstance(self.statistic, Quantile):
            return self.statistic.q
        return 0.5 if self.statistic == "median" else None
