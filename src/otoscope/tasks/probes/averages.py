"""One number for many tasks: which tasks, with which weights, on which scale, and what is missing from it.

X-ARES prints one average: sum(w s) / sum(w) over the tasks that ran, with test-set sizes (cut at 2000) as weights and
10 000 for ASR alone. A task that failed leaves that average without a trace. Here every average has a name and says
what it lacks; the macro mean and the means of the domains stand beside it. Fact sheet, section 4.9.

Intervals (ours): the ends of the tasks' own intervals are combined by MOVER (Zou and Donner 2008): the distances of
the ends from the values add up in squares, each by its weight. That takes the tasks as independent. Tasks that share
recordings are not (LibriSpeech's two, the package's two on voices), and nothing here reaches to other tasks than these.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from otoscope.core.errors import InputError, UsageError
from otoscope.core.registry import suggestions
from otoscope.tasks.probes.catalog import DOMAINS

#: What every interval of an average assumes.
ASSUMES = "the interval takes the tasks as independent, and holds for these tasks only"


@dataclass(frozen=True)
class Point:
    """A task's score of one model: higher is better. ``weight`` is X-ARES'; ``chance`` what an encoder that knows
    nothing gets; ``low`` and ``high`` None: no interval. ``value`` None: the task has no score."""

    task: str
    domain: str
    value: float | None
    weight: float = 1.0
    chance: float = 0.0
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Average:
    """``tasks`` carry the value; ``left_out`` have no score (on this scale). ``note`` says what the interval assumes,
    or why there is none."""

    name: str
    value: float | None
    low: float | None
    high: float | None
    tasks: tuple[str, ...]
    left_out: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class TaskList:
    """Tasks by key, and who says that they belong together."""

    name: str
    tasks: tuple[str, ...]
    about: str
    origin: str

    def of(self, points: Sequence[Point]) -> list[Point]:
        """A point for every task of the list, without a value where ``points`` has none, in the list's order."""
        known = {p.task: p for p in points}
        return [known.get(t, Point(t, "", None)) for t in self.tasks]


@cache
def task_lists() -> Mapping[str, TaskList]:
    """The package's lists by name (``data/lists.toml``)."""
    text = (files("otoscope.tasks.probes") / "data" / "lists.toml").read_text(encoding="utf-8")
    return {k: TaskList(k, tuple(v["tasks"]), v["about"], v["origin"]) for k, v in tomllib.loads(text).items()}


def task_list(name: str) -> TaskList:
    """One of them. Raises :class:`UsageError` with near names."""
    known = task_lists()
    if name not in known:
        near = suggestions(name, list(known)) or list(known)
        raise UsageError(f"there is no list of tasks {name!r}", fix=f"Use {', '.join(near)}.")
    return known[name]


def average(name: str, points: Sequence[Point], weights: Sequence[float] | None = None) -> Average:
    """sum(w s) / sum(w) over the points that have a value (``weights`` None: the points' own).

    Raises :class:`InputError` on weights that are negative or do not fit, and where a task comes twice.
    """
    w = [p.weight for p in points] if weights is None else list(weights)
    if len(w) != len(points) or any(not x >= 0 for x in w):
        raise InputError(f"{len(points)} tasks need as many weights from 0 on, got {w}", where=name)
    if len({p.task for p in points}) < len(points):
        raise InputError("a task comes twice", where=name)
    there = [(p, x) for p, x in zip(points, w, strict=True) if p.value is not None]
    left_out = tuple(p.task for p in points if p.value is None)
    total = sum(x for _, x in there)
    tasks = tuple(p.task for p, _ in there)
    if not total > 0:
        return Average(name, None, None, None, tasks, left_out, "no task with weight has a score")
    value = sum(x * _known(p.value) for p, x in there) / total
    bare = [p.task for p, x in there if x > 0 and (p.low is None or p.high is None)]
    if bare:
        return Average(name, value, None, None, tasks, left_out, f"no interval: {', '.join(bare)} has none")
    below = math.sqrt(sum((x / total * (_known(p.value) - _known(p.low))) ** 2 for p, x in there if x > 0))
    above = math.sqrt(sum((x / total * (_known(p.high) - _known(p.value))) ** 2 for p, x in there if x > 0))
    return Average(name, value, value - below, value + above, tasks, left_out, ASSUMES)


def xares_average(points: Sequence[Point]) -> Average:
    """X-ARES' weighted average."""
    return average("weighted", points)


def macro_mean(points: Sequence[Point]) -> Average:
    """All tasks alike."""
    return average("macro", points, [1.0] * len(points))


def domain_means(points: Sequence[Point]) -> list[Average]:
    """The mean of each domain's tasks, all alike, in the order speech, sound, music; then other domains."""
    found = []
    for domain in dict.fromkeys([*DOMAINS, *(p.domain for p in points)]):
        own = [p for p in points if p.domain == domain]
        if own and domain:
            found.append(average(domain, own, [1.0] * len(own)))
    return found


def mean_of_domains(points: Sequence[Point]) -> Average:
    """Each domain counts as much as any other, whatever its number of tasks."""
    there = [p for p in points if p.value is not None and p.domain]
    n = {d: sum(p.domain == d for p in there) for d in {p.domain for p in there}}
    return average("domains", points, [1.0 / n[p.domain] if p.domain in n else 0.0 for p in points])


def all_averages(points: Sequence[Point]) -> list[Average]:
    """X-ARES' weighted average, the macro mean, the mean of domain means, and the mean of each domain."""
    return [xares_average(points), macro_mean(points), mean_of_domains(points), *domain_means(points)]


def _known(x: float | None) -> float:
    assert x is not None
    return x
