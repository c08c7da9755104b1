"""What an intervention saves and what it loses: per item the values of every intervention side by side.

The loss of a metric is what the item has without an intervention less what it has with it, so every loss is paired. A
saving is a share, as the intervention reports it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from otoscope.core.errors import InputError
from otoscope.results.columns import ROW_COLUMNS, Rows
from otoscope.results.store import Results
from otoscope.stats.bootstrap import mean_intervals
from otoscope.stats.intervals import Interval

Floats = NDArray[np.float64]
BASELINE = "none"
#: One side of a setting: (seed, base id) -> group and values by metric.
_Side = dict[tuple[int, str], tuple[str, dict[str, float]]]


@dataclass(frozen=True)
class Setting:
    """Everything that was run on the same items of one (task, condition, model), under each intervention.

    ``items`` (seed, base id) and their ``groups`` ``[n]``; ``values`` by intervention and metric ``[n]``, NaN where an
    item failed or has no value.
    """

    task: str
    condition: str
    model: str
    items: Sequence[tuple[int, str]]
    groups: NDArray[np.str_]
    values: Mapping[str, Mapping[str, Floats]]

    @property
    def interventions(self) -> list[str]:
        """All but the empty one."""
        return [name for name in self.values if name != BASELINE]

    def loss(self, intervention: str, metric: str) -> Floats:
        """Per item ``[n]``; of a metric of which more is better."""
        return self.values[BASELINE][metric] - self.values[intervention][metric]

    def saved(self, intervention: str, saving: str) -> Floats:
        """Per item ``[n]``: a share of 1."""
        return self.values[intervention][saving]


@dataclass(frozen=True)
class Trade:
    """One intervention: its loss of one metric, and what it saved by name, each a mean over items."""

    intervention: str
    metric: str
    loss: Interval
    saved: Mapping[str, Interval]


def settings(results: Results, metrics: Iterable[str]) -> list[Setting]:
    """The settings of a run directory in which something was compared with the bare model. Raises
    :class:`InputError` where two items of a cell are one."""
    wanted = sorted(set(metrics))
    by: dict[tuple[str, str, str], dict[str, _Side]] = {}
    for cell in results.cells():
        if cell.status == "superseded":
            continue
        rows = Rows(results.rows(cells=[cell.cell], metrics=wanted, columns=ROW_COLUMNS))
        sides = by.setdefault((cell.task, cell.condition, cell.model), {}).setdefault(cell.intervention, {})
        for key, item in _items(rows, cell.seed).items():
            if key in sides:
                raise InputError(f"item {key[1]!r} of {cell.alias} was measured twice", where=str(results.path))
            sides[key] = item
    found = []
    for where, compared in by.items():
        if BASELINE in compared and len(compared) > 1:
            found.append(_setting(*where, compared, wanted))
    return found


def trades(
    setting: Setting, metric: str, savings: Sequence[str], *, names: Sequence[str] | None = None, seed: int = 0
) -> list[Trade]:
    """Loss and savings of the interventions ``names`` (all), in the order of the run. Those without a single value are
    left out: the report's section of failures has them."""
    chosen = setting.interventions if names is None else names
    names = [n for n in chosen if np.isfinite(setting.loss(n, metric)).any()]
    if not names:
        return []
    rows = np.stack([setting.loss(n, metric) for n in names] + [setting.saved(n, s) for n in names for s in savings])
    found = mean_intervals(rows, setting.groups.tolist(), seed=seed)
    k = len(savings)
    return [
        Trade(
            name,
            metric,
            found[i],
            dict(zip(savings, found[len(names) + i * k : len(names) + (i + 1) * k], strict=True)),
        )
        for i, name in enumerate(names)
    ]


def front(found: Sequence[Trade], saving: str) -> list[Trade]:
    """The Pareto front: trades that no other beats in both mean saving and mean loss, by rising saving."""
    points = [t for t in found if np.isfinite(t.loss.value) and np.isfinite(t.saved[saving].value)]
    best: list[Trade] = []
    for t in sorted(points, key=lambda t: (-t.saved[saving].value, t.loss.value)):
        if not best or t.loss.value < best[-1].loss.value:
            best.append(t)
    return best[::-1]


def _items(rows: Rows, seed: int) -> _Side:
    """(seed, base id) -> group and values by metric."""
    found: _Side = {}
    text = [w.words[w.codes].tolist() for w in (rows.base_id, rows.group, rows.metric)]
    for base, group, metric, value in zip(*text, rows.value.tolist(), strict=True):
        values = found.setdefault((seed, base), (group, {}))[1]
        if metric in values:
            raise InputError(
                f"item {base!r} has two values of {metric}", fix="Score one combination of factors a cell."
            )
        values[metric] = value
    return found


def _setting(
    task: str,
    condition: str,
    model: str,
    sides: Mapping[str, _Side],
    metrics: Sequence[str],
) -> Setting:
    groups = {key: group for side in sides.values() for key, (group, _) in side.items()}
    items = sorted(groups)

    def column(side: _Side, metric: str) -> Floats:
        return np.array([side[i][1].get(metric, np.nan) if i in side else np.nan for i in items])

    values = {name: {m: column(side, m) for m in metrics} for name, side in sides.items()}
    return Setting(task, condition, model, items, np.array([groups[i] for i in items]), values)
