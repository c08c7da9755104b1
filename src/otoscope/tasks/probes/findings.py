"""A run of probes in a few printed tables: scores by task, averages, then models against each other, by domain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from otoscope.results.store import Results
from otoscope.tasks.probes.averages import Average, Point, all_averages, task_list
from otoscope.tasks.probes.normalise import (
    ChanceCorrected,
    Identity,
    Normaliser,
    min_max_over,
    normalised,
    relative_to,
)
from otoscope.tasks.probes.study import Study, Versus, published_key

Table = tuple[str, list[str], list[list[Any]]]


def tables(results: Results) -> list[Table]:
    """Per probe a table of scores and one of averages; last, every pair of models by domain."""
    study = Study(results)
    found: list[Table] = []
    for probe in study.probes:
        found += [_scores(study, probe), averages_table(study, probe)]
    return [t for t in [*found, versus_table(study.versus)] if t[2]]


def _scores(study: Study, probe: str) -> Table:
    points = {m: {p.task: p for p in study.points[m, probe]} for m in study.models if (m, probe) in study.points}
    tasks = list(dict.fromkeys(t for by in points.values() for t in by))
    first = {t: next(by[t] for by in points.values() if t in by) for t in tasks}
    rows: list[list[Any]] = []
    for t in tasks:
        chance = next((by[t].chance for by in points.values() if t in by and by[t].value is not None), None)
        rows.append([t, first[t].domain, None if chance is None else f"{chance:.3f}",
                     *(shown(by[t]) if t in by else None for by in points.values())])  # fmt: skip
    return f"{probe}: scores, 95 % intervals", ["task", "domain", "chance", *points], rows


def scales_of(points: Mapping[str, Sequence[Point]], baseline: str | None) -> list[Normaliser]:
    """All scales that these models allow for: relative to ``baseline``, min-max over all of them."""
    found: list[Normaliser] = [Identity(), ChanceCorrected()]
    if baseline is not None and baseline in points:
        found.append(relative_to(baseline, points[baseline]))
    if len(points) > 1:
        found.append(min_max_over("the models of this run", points))
    return found


def averages_of(points: Sequence[Point], scale: Normaliser) -> list[Average]:
    """Every average on one scale that is not another one by construction; of X-ARES' tasks also X-ARES' average over
    the list that is our reading of UniWhisper's twenty, with what is missing from it."""
    on = normalised(points, scale)
    found = all_averages(on)
    if len({p.weight for p in points}) == 1:  # then X-ARES' weights say nothing of their own
        found = [a for a in found if a.name != "weighted"]
    if len({sum(p.domain == d for p in points) for d in {p.domain for p in points}}) == 1:
        found = [a for a in found if a.name != "domains"]
    ours = task_list("uniwhisper-20")
    known = {published_key(p.task): p for p in on if p.task.startswith("xares/")}
    if any(known[t].value is not None for t in ours.tasks if t in known):
        missing = [t for t in ours.tasks if t not in known]
        held = [known[t] for t in ours.tasks if t in known] + [Point(t, "", None) for t in missing]
        one = all_averages(held)[0]
        found.append(Average(ours.name, one.value, one.low, one.high, one.tasks, one.left_out, one.note))
    return found


def averages_table(study: Study, probe: str) -> Table:
    """A line per scale and average, a column per model."""
    points = {m: study.points[m, probe] for m in study.models if (m, probe) in study.points}
    baseline = study.pairs[0][0] if study.pairs else None
    rows: list[list[Any]] = []
    for scale in scales_of(points, baseline):
        by = {m: {a.name: a for a in averages_of(p, scale)} for m, p in points.items()}
        for name in dict.fromkeys(n for found in by.values() for n in found):
            rows.append([f"{scale.name}: {scale.about}", name, *(shown(found.get(name)) for found in by.values())])
    return f"{probe}: averages over tasks (weighted: X-ARES' weights; macro: tasks alike; domains: domains alike)", [
        "scale", "average", *points
    ], rows  # fmt: skip


def versus_table(found: Sequence[Versus]) -> Table:
    """A line per pair, probe and domain; p after Holm's correction over all of them."""
    rows: list[list[Any]] = [
        [v.other, v.baseline, v.probe, v.domain, shown(v.difference, sign=True), p_text(v.p_holm), len(v.by_task), v.n]
        for v in found
    ]
    header = ["model", "minus", "probe", "domain", "difference", "p (Holm)", "tasks", "items"]
    return "Paired by item: models against each other, by domain; intervals take tasks as independent", header, rows


def shown(x: Point | Average | None, *, sign: bool = False) -> str | None:
    """``0.812 [0.780, 0.841]``, with ``(5 of 6)`` where tasks are missing; None without a value."""
    if x is None or x.value is None:
        return None
    plus = "+" if sign else ""
    text = f"{x.value:{plus}.3f}"
    if x.low is not None and x.high is not None:
        text += f" [{x.low:{plus}.3f}, {x.high:{plus}.3f}]"
    left_out = x.left_out if isinstance(x, Average) else ()
    return f"{text} ({len(x.tasks)} of {len(x.tasks) + len(left_out)})" if left_out and isinstance(x, Average) else text


def p_text(p: float) -> str:
    """Three digits, or that it is less."""
    return "<0.001" if p < 0.001 else f"{p:.3f}"
