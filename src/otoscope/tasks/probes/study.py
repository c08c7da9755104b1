"""What a run of probe tasks says: scores by task, averages by model, and models against each other, by domain.

Everything is read from rows. A comparison is paired by item: of each task the mean difference over the items that both
models have; of a domain the mean over its tasks. Its interval combines those of the tasks (:mod:`.averages`), its p is
from sign flips over groups that span tasks: where two tasks share a speaker, that speaker flips in both at once.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otoscope.core.items import Factor
from otoscope.core.naming import parse_spec
from otoscope.results.cells import Cell
from otoscope.results.columns import ROW_COLUMNS, Rows, observe
from otoscope.results.store import Results
from otoscope.stats.bootstrap import mean_intervals
from otoscope.stats.correction import holm
from otoscope.stats.paired import hedges_dz
from otoscope.stats.permutation import sign_flip
from otoscope.tasks.probes.averages import Average, Point, average
from otoscope.tasks.probes.catalog import DOMAINS, xares_tasks

#: All tasks together, as a domain of its own.
ALL = "all"
PERMUTATIONS = 20_000
#: The names of a task's family.
FAMILIES = ("probes", "xares")


@dataclass(frozen=True)
class Reading:
    """What one probe read from one layer of one model for one task: a share of the score per item. ``layer`` None: the
    model's last, as it comes."""

    task: str
    domain: str
    model: str
    probe: str
    layer: Factor | None
    items: tuple[str, ...]
    groups: tuple[str, ...]
    shares: NDArray[np.float64]
    chance: float

    @property
    def score(self) -> float:
        return float(self.shares.mean())


@dataclass(frozen=True)
class Versus:
    """``other`` minus ``baseline`` over ``tasks`` of a domain (or all of them), read by ``probe``."""

    domain: str
    probe: str
    baseline: str
    other: str
    difference: Average
    effect_size: float | None
    p: float
    p_holm: float
    n: int
    by_task: Mapping[str, Average]


@dataclass(frozen=True)
class Study:
    """All of it for one run directory."""

    results: Results
    seed: int = 0

    @cached_property
    def readings(self) -> list[Reading]:
        """In the order of the run. Conditions other than ``intact`` do not exist for probes."""
        found: list[Reading] = []
        for cell in self.results.cells():
            if cell.status != "superseded" and parse_spec(cell.task).name.partition("/")[0] in FAMILIES:
                found += _readings(self.results, cell)
        return found

    @cached_property
    def last(self) -> list[Reading]:
        """Of each model and probe those of the last layer (of a mix of layers, which has none, that)."""
        top: dict[tuple[str, str], Factor | None] = {}
        for r in self.readings:
            key = (r.model, r.probe)
            top[key] = max((top[key], r.layer), key=_order) if key in top else r.layer
        return [r for r in self.readings if r.layer == top[r.model, r.probe]]

    @property
    def tasks(self) -> list[str]:
        """Speech first, then sound, then music."""
        domain = {r.task: r.domain for r in self.readings}
        rank = {d: i for i, d in enumerate(DOMAINS)}
        return sorted(domain, key=lambda t: rank.get(domain[t], len(rank)))

    @property
    def probes(self) -> list[str]:
        return list(dict.fromkeys(r.probe for r in self.readings))

    @property
    def models(self) -> list[str]:
        return list(dict.fromkeys(r.model for r in self.readings))

    @cached_property
    def points(self) -> dict[tuple[str, str], list[Point]]:
        """By (model, probe): a point per task of :attr:`tasks` that this probe was put to at all."""
        asked = {
            p: [t for t in self.tasks if any(r.task == t and r.probe == p for r in self.last)] for p in self.probes
        }
        known = {(r.model, r.probe, r.task): r for r in self.last}
        domain = {r.task: r.domain for r in self.readings}
        found: dict[tuple[str, str], list[Point]] = {}
        for model in self.models:
            for probe in self.probes:
                points = []
                for task in asked[probe]:
                    r = known.get((model, probe, task))
                    points.append(Point(task, domain[task], None, weight_of(task)) if r is None else self._point(r))
                if any(p.value is not None for p in points):
                    found[model, probe] = points
        return found

    def _point(self, r: Reading) -> Point:
        (i,) = mean_intervals(r.shares[None], list(r.groups), seed=self.seed)
        ends = (None, None) if np.isnan(i.low) or np.isnan(i.high) else (i.low, i.high)
        return Point(r.task, r.domain, i.value, weight_of(r.task), r.chance, *ends)

    @cached_property
    def pairs(self) -> list[tuple[str, str]]:
        """(baseline, other): every subject against each reference and against the first subject; each random twin
        against the references, and its original against it."""
        references = self._references()
        subjects = [m for m in self.models if m not in references]
        twins = {m: str(parse_spec(m).without("init", "seed")) for m in subjects if _is_twin(m, subjects)}
        originals = [m for m in subjects if m not in twins]
        found = [(ref, m) for ref in references for m in [*originals, *twins]]
        found += [(originals[0], m) for m in originals[1:]]
        found += [(twin, m) for twin, base in twins.items() for m in originals if str(parse_spec(m)) == base]
        return found or [(references[0], m) for m in references[1:]]

    def _references(self) -> list[str]:
        named: set[str] = set()
        against: set[str] = set()
        for record in self.results.experiment()["runs"]:
            e = record.get("experiment", {})
            for grid in (e, *e.get("grid", ())):
                named |= set(grid.get("models") or ())
                against |= set(grid.get("references") or ())
        return [m for m in self.models if m in against - named]

    @cached_property
    def versus(self) -> list[Versus]:
        """Every pair by probe and domain, and over all tasks; p corrected for the whole list (Holm)."""
        known = {(r.task, r.model, r.probe): r for r in self.last}
        found: list[Versus] = []
        for baseline, other in self.pairs:
            asked = [(t, p) for p in self.probes for t in self.tasks]
            found += self.against([
                (known[t, baseline, p], known[t, other, p])
                for t, p in asked
                if (t, baseline, p) in known and (t, other, p) in known
            ])  # fmt: skip
        corrected = holm(np.array([v.p for v in found]))
        return [replace(v, p_holm=float(p)) for v, p in zip(found, corrected, strict=True)]

    def against(self, pairs: Sequence[tuple[Reading, Reading]]) -> list[Versus]:
        """Pairs of readings (before, after) of two models, each of one task and probe: by probe and domain, and over
        all tasks. p is not corrected."""
        found: list[Versus] = []
        for probe in dict.fromkeys(a.probe for a, _ in pairs):
            both = [(a, b) for a, b in pairs if a.probe == probe]
            domains = list(dict.fromkeys(a.domain for a, _ in both))
            for domain in [*domains, ALL] if len(domains) > 1 else domains:
                own = [(a, b) for a, b in both if domain in (ALL, a.domain)]
                if (v := self._versus(domain, probe, own[0][0].model, own[0][1].model, own)) is not None:
                    found.append(v)
        return found

    def _versus(
        self, domain: str, probe: str, baseline: str, other: str, pairs: Sequence[tuple[Reading, Reading]]
    ) -> Versus | None:
        by_task: dict[str, Average] = {}
        points: list[Point] = []
        values: list[NDArray[np.float64]] = []
        groups: list[str] = []
        for a, b in pairs:
            d, own = _differences(a, b)
            if not len(d):
                continue
            (i,) = mean_intervals(d[None], own, seed=self.seed)
            ends = (None, None) if np.isnan(i.low) or np.isnan(i.high) else (i.low, i.high)
            points.append(Point(a.task, a.domain, i.value, 1.0, 0.0, *ends))
            by_task[a.task] = Average(a.task, i.value, ends[0], ends[1], (a.task,), (), i.note)
            values.append(d / len(d))
            groups += own
        if not points:
            return None
        flat = np.concatenate(values)
        flat = flat * (len(flat) / len(points))  # its mean over items is the mean of the tasks' means
        test = sign_flip(flat, groups, n_permutations=PERMUTATIONS, seed=self.seed)
        effect = hedges_dz(flat)
        return Versus(
            domain, probe, baseline, other, average(domain, points),
            effect if np.isfinite(effect) else None, test.p_value, test.p_value, len(flat), by_task,
        )  # fmt: skip

    def curves(self, probe: str) -> dict[tuple[str, str], list[tuple[Factor, Point]]]:
        """By (task, model): the score of every layer, lowest first, of models that were read at more than one."""
        found: dict[tuple[str, str], list[tuple[Factor, Point]]] = {}
        for r in self.readings:
            if r.probe == probe and r.layer is not None:
                found.setdefault((r.task, r.model), []).append((r.layer, self._point(r)))
        return {k: sorted(v, key=lambda x: _order(x[0])) for k, v in found.items() if len(v) > 1}

    def confusions(self, task: str, model: str, probe: str) -> tuple[list[str], NDArray[np.int64]] | None:
        """Classes, and counts ``[true, said]`` of the last layer (of the first seed where there are several). None for
        tasks in which several classes may hold."""
        layers = {r.layer for r in self.last if (r.task, r.model, r.probe) == (task, model, probe)}
        pairs: list[tuple[str, str]] = []
        for cell in self._cells(task, model):
            table = self.results.rows(cells=[cell.cell], metrics=["score", "correct"],
                                      columns=["item", "metric", "factors", "raw"])  # fmt: skip
            pairs += list(_said(table.to_pylist(), probe, layers))
        if not pairs:
            return None
        names = sorted({n for pair in pairs for n in pair}, key=_natural)
        at = {n: i for i, n in enumerate(names)}
        counts = np.zeros((len(names), len(names)), dtype=np.int64)
        for true, said in pairs:
            counts[at[true], at[said]] += 1
        return names, counts

    def _cells(self, task: str, model: str) -> Iterator[Cell]:
        for cell in self.results.cells():
            if cell.status != "superseded" and task_key(cell.task) == task and cell.model == model:
                yield cell


def task_key(task: str) -> str:
    """A task without the folder above its data: ``xares/esc50``, ``probes/folder:data=birds``."""
    spec = parse_spec(task)
    data = spec.params.get("data")
    if data is None:
        return str(spec)
    return str(
        spec.with_params(data=Path(str(data)).name)
        if spec.name in ("probes/folder", "probes/hear")
        else spec.without("data")
    )


def published_key(task: str) -> str:
    """The name of a task in the published tables: ``xares/esc50`` is ``esc50``."""
    return parse_spec(task).name.removeprefix("xares/")


def weight_of(task: str) -> float:
    """X-ARES' weight; a task that is not X-ARES' weighs 1."""
    name = parse_spec(task).name
    own = xares_tasks().get(name.removeprefix("xares/")) if name.startswith("xares/") else None
    return 1.0 if own is None else float(own.weight)


def _readings(results: Results, cell: Cell) -> list[Reading]:
    rows = Rows(results.rows(cells=[cell.cell], metrics=["score", "chance"], columns=ROW_COLUMNS))
    chance = [float(o.values["chance"].mean()) for o in observe(rows, ("chance",), ()).values() if o.n]
    found = []
    for (probe, layer, domain), o in observe(rows, ("score",), ("probe", "layer", "domain")).items():
        if not o.n or probe is None:
            continue
        items, groups = (tuple(w.words[w.codes[o.row]].tolist()) for w in (rows.base_id, rows.group))
        found.append(
            Reading(task_key(cell.task), str(domain), cell.model, str(probe), layer, items, groups, o.values["score"],
                    chance[0] if chance else 0.0)
        )  # fmt: skip
    return found


def _differences(a: Reading, b: Reading) -> tuple[NDArray[np.float64], list[str]]:
    """``b - a`` over the items that both have, and the groups of those."""
    left = dict(zip(a.items, a.shares.tolist(), strict=True))
    kept = [(v - left[i], g) for i, g, v in zip(b.items, b.groups, b.shares.tolist(), strict=True) if i in left]
    return np.array([d for d, _ in kept], dtype=np.float64), [g for _, g in kept]


def _said(rows: Sequence[Mapping[str, Any]], probe: str, layers: set[Factor | None]) -> Iterator[tuple[str, str]]:
    known = {text: json.loads(text) for text in {r["factors"] for r in rows}}
    true: dict[str, str] = {}
    said: dict[str, str] = {}
    for r in rows:
        f = known[r["factors"]]
        if f.get("probe") == probe and f.get("layer") in layers and r["raw"] is not None:
            (said if r["metric"] == "score" else true)[r["item"]] = r["raw"]
    for item, name in true.items():
        if item in said:
            yield name, said[item]


def _is_twin(model: str, among: Sequence[str]) -> bool:
    spec = parse_spec(model)
    base = str(spec.without("init", "seed"))
    return spec.params.get("init") == "random" and base != model and base in among


def _order(layer: Factor | None) -> tuple[int, float, str]:
    if layer is None:
        return (2, 0.0, "")
    return (0, float(layer), "") if isinstance(layer, int | float) else (1, 0.0, str(layer))


def _natural(name: str) -> tuple[int, float, str]:
    return (0, float(name), "") if name.lstrip("-").isdigit() else (1, 0.0, name)
