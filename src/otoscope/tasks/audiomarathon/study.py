"""What a run of AudioMarathon's tasks says of interventions: quality beside cost, paired differences, bounds.

A *line* is one intervention on one model in one condition, over the tasks that all lines of its *setting* (model,
condition, what else the tasks were given) have. Means over tasks take every task alike, as the publication does. Paired
values are per item: 100 where the answer is right, else 0; of a transcript 100 less the item's word error rate, not
below 0.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from otoscope.core.naming import Spec, parse_spec
from otoscope.results.scoring import Score
from otoscope.results.store import Results
from otoscope.stats.bootstrap import mean_intervals
from otoscope.tasks.answers import PEAKS, SECONDS
from otoscope.tasks.audiomarathon.kinds import KINDS
from otoscope.tasks.audiomarathon.tables import by_setting, mean_of

BASELINE = "none"
#: Interventions that ask what a part is there for, and are no way to save.
PROBES = ("head-atlas", "knock-heads", "ablate")
PREFIX = "audiomarathon/"
#: What an answer costs: means over tasks of each task's median (or 90th percentile).
COSTS = (
    *SECONDS, *(f"{name}_p90" for name in SECONDS), "real_time_factor", "real_time_factor_p90",
    "audio_tokens", "kept_audio_share", "kept_cache_share", "cache_bytes", "peak_bytes", *PEAKS, "same_answer",
    "knocked_heads",
)  # fmt: skip
LATENCY = "seconds_first_token"
#: Shares of the bare model's latency, and of its score, at which the best is looked for.
BUDGETS, FLOORS = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0), (1.0, 0.99, 0.97, 0.95, 0.9)
Where = tuple[str, str, str]  # model, condition, what else the tasks were given
Mean = tuple[float, float, float]
Items = dict[tuple[int, str], tuple[float, str]]


@dataclass(frozen=True)
class Line:
    """One intervention: scores by metric and task, over ``tasks``."""

    intervention: str
    tasks: tuple[str, ...]
    scores: Mapping[str, Mapping[str, Score]]

    def mean(self, metric: str = "score", tasks: Sequence[str] | None = None) -> Mean | None:
        """The mean over ``tasks`` (all) with a 95 % interval, or None where one has none."""
        keys = self.tasks if tasks is None else tasks
        return mean_of(dict(self.scores.get(metric, {})), keys) if keys else None

    def cost(self, name: str) -> float | None:
        """Mean over tasks, or None where a task lacks it."""
        found = self.mean(name)
        return None if found is None else found[0]


@dataclass(frozen=True)
class Setting:
    """Lines that may be compared, the bare model first where it was run."""

    where: Where
    tasks: tuple[str, ...]
    lines: tuple[Line, ...]

    @property
    def bare(self) -> Line | None:
        return next((x for x in self.lines if x.intervention == BASELINE), None)

    @property
    def savers(self) -> list[Line]:
        """The bare model and whatever is no probe."""
        return [x for x in self.lines if parse_spec(x.intervention).name not in PROBES]

    def of_domain(self, domain: str) -> tuple[str, ...]:
        return tuple(t for t in self.tasks if KINDS[t].domain == domain)

    def relative(self, line: Line) -> float | None:
        """The official mean in percent of the bare model's, which is how HeadRouter reports."""
        mine, base = line.mean("score_official"), self.bare.mean("score_official") if self.bare else None
        return None if mine is None or base is None or base[0] <= 0 else 100 * mine[0] / base[0]

    def front(self, cost: str = LATENCY) -> list[Line]:
        """Lines that no other beats in both score and ``cost``, cheapest first."""
        known = [(c, m[0], x) for x in self.savers if (c := x.cost(cost)) is not None and (m := x.mean()) is not None]
        best: list[tuple[float, float, Line]] = []
        for c, score, x in sorted(known, key=lambda k: (k[0], -k[1])):
            if not best or score > best[-1][1]:
                best.append((c, score, x))
        return [x for _, _, x in best]

    def best_within(self, share: float) -> Line | None:
        """The best score of those that take at most ``share`` of the bare model's time to the first token."""
        base = self.bare.cost(LATENCY) if self.bare else None
        if base is None:
            return None
        fast = [x for x in self.savers if (c := x.cost(LATENCY)) is not None and c <= share * base and x.mean()]
        return max(fast, key=lambda x: _value(x.mean()), default=None)

    def fastest_above(self, share: float) -> Line | None:
        """The least time to the first token of those that keep ``share`` of the bare model's score."""
        base = self.bare.mean() if self.bare else None
        if base is None or base[0] <= 0:
            return None
        good = [x for x in self.savers if _value(x.mean()) >= share * base[0] - 1e-9 and x.cost(LATENCY) is not None]
        return min(good, key=lambda x: x.cost(LATENCY) or math.inf, default=None)


def settings(scores: Sequence[Score]) -> list[Setting]:
    """From a run's scores, in their order."""
    by: dict[Where, dict[str, dict[str, dict[str, Score]]]] = {}
    for metric in ("score", "score_official", "accuracy", "wer", "unparsed_share", *COSTS):
        for (model, intervention, condition, params), found in by_setting(scores, metric).items():
            by.setdefault((model, condition, params), {}).setdefault(intervention, {})[metric] = found
    out = []
    for where, lines in by.items():
        named = [set(x.get("score", {})) for x in lines.values()]
        shared = set.intersection(*named) if named else set()
        tasks = tuple(k for k in KINDS if k in shared)
        order = sorted(lines, key=lambda n: n != BASELINE)
        out.append(Setting(where, tasks, tuple(Line(n, tasks, lines[n]) for n in order)))
    return out


# --- paired -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Paired:
    """Differences from the bare model by task and item, of one intervention or of several that differ in their seed
    (then the mean over seeds)."""

    name: str
    by: Mapping[str, Items]

    def of(self, task: str) -> Mean | None:
        """Mean difference of a task, in points, with a 95 % interval over items."""
        items = self.by.get(task)
        if not items:
            return None
        names = sorted(items)
        values = np.array([items[n][0] for n in names])
        found = mean_intervals(values[None], [items[n][1] for n in names], seed=0)[0]
        return found.value, found.low, found.high

    def mean(self, tasks: Sequence[str]) -> Mean | None:
        """The mean over tasks, whose items are different ones."""
        found = [self.of(t) for t in tasks]
        known = [f for f in found if f is not None]
        if not known or len(known) < len(found):
            return None
        value = sum(f[0] for f in known) / len(known)
        half = math.sqrt(sum(((f[2] - f[1]) / 2) ** 2 for f in known)) / len(known)
        return value, value - half, value + half


@dataclass(frozen=True)
class Study:
    """Paired rows of a run directory."""

    results: Results

    @cached_property
    def pairs(self) -> dict[Where, dict[str, Paired]]:
        """Setting -> intervention -> its differences."""
        cells: dict[Where, dict[str, dict[str, list[Any]]]] = {}
        for cell in self.results.cells():
            name, _, params = cell.task.partition(":")
            if cell.status != "superseded" and name.startswith(PREFIX):
                where = (cell.model, cell.condition, params)
                by = cells.setdefault(where, {}).setdefault(cell.intervention, {})
                by.setdefault(name.removeprefix(PREFIX), []).append(cell)
        found: dict[Where, dict[str, Paired]] = {}
        for where, by_name in cells.items():
            if BASELINE not in by_name:
                continue
            base = {t: self._values(c) for t, c in by_name[BASELINE].items()}
            for name, by_task in by_name.items():
                if name != BASELINE:
                    pairs = {t: _less(self._values(c), base[t]) for t, c in by_task.items() if t in base}
                    found.setdefault(where, {})[name] = Paired(name, pairs)
        return found

    def families(self, where: Where) -> dict[str, dict[float, Paired]]:
        """Methods with a ``keep``: name without it (and without the seed) -> kept share -> differences."""
        found: dict[str, dict[float, list[Paired]]] = {}
        for name, paired in self.pairs.get(where, {}).items():
            spec = parse_spec(name)
            keep = spec.params.get("keep")
            if isinstance(keep, int | float) and not isinstance(keep, bool):
                rest = Spec(spec.name, {k: v for k, v in spec.params.items() if k not in ("keep", "seed")})
                found.setdefault(str(rest), {}).setdefault(float(keep), []).append(paired)
        return {n: {k: _pooled(n, same) for k, same in sorted(by.items())} for n, by in found.items()}

    def _values(self, cells: Sequence[Any]) -> Items:
        found: dict[tuple[int, str], dict[str, float]] = {}
        groups: dict[tuple[int, str], str] = {}
        for cell in cells:
            rows = self.results.rows(cells=[cell.cell], metrics=("correct", "errors", "words"))
            for row in rows.select(["item", "group", "metric", "value"]).to_pylist():
                if row["value"] is not None:
                    found.setdefault((cell.seed, row["item"]), {})[row["metric"]] = row["value"]
                    groups[cell.seed, row["item"]] = row["group"]
        return {k: (_item_value(v), groups[k]) for k, v in found.items()}

    def __iter__(self) -> Iterator[Where]:
        return iter(self.pairs)


def _item_value(of: Mapping[str, float]) -> float:
    if "correct" in of:
        return 100.0 * of["correct"]
    return max(0.0, 100.0 * (1 - of["errors"] / of["words"]))


def _less(a: Items, b: Items) -> Items:
    return {k: (a[k][0] - b[k][0], a[k][1]) for k in a.keys() & b.keys()}


def _pooled(name: str, same: Sequence[Paired]) -> Paired:
    if len(same) == 1:
        return same[0]
    by: dict[str, Items] = {}
    for task in same[0].by:
        sides = [p.by.get(task, {}) for p in same]
        shared = set.intersection(*(set(s) for s in sides))
        by[task] = {k: (float(np.mean([s[k][0] for s in sides])), sides[0][k][1]) for k in shared}
    return Paired(name, by)


def _value(mean: Mean | None) -> float:
    return -math.inf if mean is None else mean[0]
