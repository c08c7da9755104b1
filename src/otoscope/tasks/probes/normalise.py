"""Scales on which scores of different tasks are averaged. X-ARES' "normalised" means no more than: all lie in [0, 1].

============ ============================= ===========================================================
name         s becomes                     what it answers
============ ============================= ===========================================================
identity     s                             what X-ARES prints
chance       (s - c) / (1 - c)             how much of what can be known, is; c is the score of a guess
relative     s / b                         how many times the baseline model's score
min-max      (s - min) / (max - min)       where between the worst and the best of a reference set
============ ============================= ===========================================================

All are rising straight lines, so they keep a task's order of models and the form of its interval; they change what a
task's differences weigh. A task for which the scale does not exist (no baseline score, no spread in the reference set)
leaves the average and is named. Fact sheet, section 4.9.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Protocol

from otoscope.core.errors import UsageError
from otoscope.tasks.probes.averages import Point


class Normaliser(Protocol):
    name: ClassVar[str]

    @property
    def about(self) -> str:
        """In words, for a table's heading."""
        ...

    def line(self, point: Point) -> tuple[float, float] | None:
        """``(offset, scale)`` of s -> (s - offset) / scale; None where there is none for this task."""
        ...


@dataclass(frozen=True)
class Identity:
    """s as it is."""

    name: ClassVar[str] = "identity"

    @property
    def about(self) -> str:
        return "scores as they are"

    def line(self, point: Point) -> tuple[float, float] | None:
        return 0.0, 1.0


@dataclass(frozen=True)
class ChanceCorrected:
    """(s - chance) / (1 - chance): 0 is a guess, 1 is perfect, below 0 is worse than a guess."""

    name: ClassVar[str] = "chance"

    @property
    def about(self) -> str:
        return "0 is a guess, 1 is perfect"

    def line(self, point: Point) -> tuple[float, float] | None:
        return (point.chance, 1.0 - point.chance) if point.chance < 1 else None


@dataclass(frozen=True)
class Relative:
    """s / s of ``baseline``, whose scores are ``scores`` by task. The baseline is taken as it is, without error."""

    name: ClassVar[str] = "relative"

    baseline: str
    scores: Mapping[str, float] = field(default_factory=dict)

    @property
    def about(self) -> str:
        return f"1 is {self.baseline}"

    def line(self, point: Point) -> tuple[float, float] | None:
        base = self.scores.get(point.task, 0.0)
        return (0.0, base) if base > 0 else None


@dataclass(frozen=True)
class MinMax:
    """0 is the worst of the models ``over``, 1 the best; ``ranges`` are (worst, best) by task."""

    name: ClassVar[str] = "min-max"

    over: str
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def about(self) -> str:
        return f"0 and 1 are the worst and the best of {self.over}"

    def line(self, point: Point) -> tuple[float, float] | None:
        low, high = self.ranges.get(point.task, (0.0, 0.0))
        return (low, high - low) if high > low else None


def normalised(points: Sequence[Point], how: Normaliser) -> list[Point]:
    """The points on the scale of ``how``; without a value where that scale does not exist."""
    found = []
    for p in points:
        line = how.line(p)
        if line is None or p.value is None:
            found.append(replace(p, value=None, low=None, high=None))
            continue
        offset, scale = line
        value, low, high = ((None if x is None else (x - offset) / scale) for x in (p.value, p.low, p.high))
        found.append(replace(p, value=value, low=low, high=high))
    return found


def relative_to(name: str, points: Sequence[Point]) -> Relative:
    """The scale on which the model of ``points`` is 1."""
    return Relative(name, {p.task: p.value for p in points if p.value is not None})


def min_max_over(name: str, models: Mapping[str, Sequence[Point]]) -> MinMax:
    """The scale between the worst and the best of ``models``. Raises :class:`UsageError` with fewer than two."""
    if len(models) < 2:
        raise UsageError(f"min-max needs a reference set of two models or more, got {len(models)}")
    seen: dict[str, list[float]] = {}
    for points in models.values():
        for p in points:
            if p.value is not None:
                seen.setdefault(p.task, []).append(p.value)
    return MinMax(name, {t: (min(v), max(v)) for t, v in seen.items() if len(v) == len(models)})
