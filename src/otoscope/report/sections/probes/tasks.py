"""A part per task: every probe's score with the spread of its seeds, scores by layer, and what is taken for what."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from otoscope.core.items import Factor
from otoscope.core.naming import parse_spec
from otoscope.report.figures.curves import WIDE, Panel, Series, panel_svg
from otoscope.report.figures.curves import Point as Dot
from otoscope.report.figures.style import Style, subject_styles
from otoscope.report.figures.svg import swatch
from otoscope.report.run import Run
from otoscope.report.section import TD, Block, Entry, Fold, Panels, Prose, Section, Table
from otoscope.report.sections.probes.words import cell, task_title
from otoscope.report.tables import DASH, number
from otoscope.results.scoring import Score
from otoscope.tasks.probes.averages import Point
from otoscope.tasks.probes.study import Study, task_key

#: Confusion tables are of this probe, or of the first of the run.
PROBE = "xares-mlp"
#: Up to so many classes a table is shown; of more, the commonest confusions.
CLASSES, COMMONEST = 20, 12


def by_task(run: Run, study: Study) -> Section:
    """All tasks, each folded."""
    blocks: list[Block] = [Prose("One part per task: seeds, layers, and confusions on test items.")]
    for i, task in enumerate(study.tasks):
        blocks.append(Fold(task_title(task), _of_task(run, study, task, f"task{i}"), False))
    return Section("by-task", "Task by task", blocks)


def _of_task(run: Run, study: Study, task: str, name: str) -> list[Block]:
    scores = [s for s in run.scores if task_key(s.task) == task]
    blocks: list[Block] = [_table(study, task, scores)]
    curves = [c for c in (layer_curve(study, task, p, f"{name}-{p}") for p in study.probes) if c is not None]
    blocks += [Fold("By layer", curves, True)] if curves else []
    mixes = mix_table(task, study.models, scores)
    blocks += [mixes] if mixes is not None else []
    probe = PROBE if PROBE in study.probes else study.probes[0]
    tables = [b for model in study.models for b in confusion(study, task, model, probe)]
    if tables:
        note = f"Rows are true, columns are said, by {probe} (its first seed); each test item once."
        blocks.append(Fold("What is taken for what", [Prose(note, "note"), *tables], False))
    return blocks


def _table(study: Study, task: str, scores: Sequence[Score]) -> Table:
    rows: list[list[TD | str]] = []
    for model in study.models:
        for probe in study.probes:
            point = next((p for p in study.points.get((model, probe), ()) if p.task == task), None)
            if point is None or point.value is None:
                continue
            reading = next(r for r in study.last if (r.task, r.model, r.probe) == (task, model, probe))
            rows.append([model, probe, cell(point), _seeds(scores, model, probe, reading.layer),
                         TD(number(point.chance, 3), number=True), str(len(reading.items)),
                         str(len(set(reading.groups))), _learned(scores, model, reading.layer)])  # fmt: skip
    header = ["model", "probe", "score", "seeds", "chance", "test items", "groups", "learned from"]
    return Table("Scores", header, rows, compact=True)


def _seeds(scores: Sequence[Score], model: str, probe: str, layer: Factor | None) -> TD:
    """The least and the most that a seed gives."""
    found = [
        s.value
        for s in scores
        if (s.model, s.metric, s.factors.get("probe"), s.factors.get("layer")) == (model, "score_of_seed", probe, layer)
        and s.value is not None
    ]
    if not found:
        return TD("one", number=True)
    return TD(f"{number(min(found), 3)} to {number(max(found), 3)}", f"{len(found)} seeds", number=True)


def _learned(scores: Sequence[Score], model: str, layer: Factor | None) -> TD:
    """Items to learn from; below it how many were left out because their group is tested."""
    at = {s.metric: s.value for s in scores if s.model == model and s.factors.get("layer") == layer}
    dropped = at.get("train_dropped") or 0.0
    sub = f"{number(dropped, 0)} left out: their group is tested" if dropped else ""
    return TD(number(at.get("train_items"), 0), sub, number=True)


def mix_table(task: str, models: Sequence[str], scores: Sequence[Score]) -> Table | None:
    """What a learned mix of layers weighs, mean over seeds and folds; None where none was learned."""
    found = {
        m: {int(s.factors["layer"]): s.value for s in scores if (s.model, s.metric) == (m, "layer_weight")}
        for m in models
    }
    found = {m: weights for m, weights in found.items() if weights}
    if not found:
        return None
    layers = sorted({k for weights in found.values() for k in weights})
    rows: list[list[TD | str]] = [
        [m, *(TD(number(weights.get(k), 2), number=True) for k in layers)] for m, weights in found.items()
    ]
    return Table(f"Weights of layers in layer-mix, {task}", ["model", *map(str, layers)], rows, compact=True)


def layer_curve(study: Study, task: str, probe: str, name: str) -> Panels | None:
    """Scores against depth, from the input to the last layer (0 to 1), of the models that were read at several."""
    found = {model: points for (t, model), points in study.curves(probe).items() if t == task}
    if not found:
        return None
    styles = subject_styles(found)
    series = [
        _series(m, styles[m], [p for _, p in points], f"{name}-{i}") for i, (m, points) in enumerate(found.items())
    ]
    chance = next(p.chance for points in found.values() for _, p in points)
    shape = Panel("", "depth (0: first layer read, 1: last)", "score", series, levels=((chance, "chance"),))
    figure = panel_svg(name, f"{probe} by layer, {task}", shape, WIDE)
    legend = [Entry(m, swatch(f"{name}-s{i}", styles[m]), f"{name}-{i}") for i, m in enumerate(found)]
    words = [f"{m}: best at layer {best[0]} ({number(best[1].value, 3)})" for m, best in _best(found)]
    caption = "; ".join(words) + ". The best layer is picked on test items here: look, do not report it as a score."
    return Panels(name, [figure], legend, caption, [probe])


def _series(model: str, style: Style, points: Sequence[Point], series: str) -> Series:
    n = max(1, len(points) - 1)
    return Series(
        model, style, [Dot(i / n, p.value, p.low, p.high) for i, p in enumerate(points) if p.value is not None], series
    )


def _best(found: dict[str, list[tuple[Factor, Point]]]) -> list[tuple[str, tuple[Factor, Point]]]:
    return [(m, max(points, key=lambda x: x[1].value or 0.0)) for m, points in found.items()]


def confusion(study: Study, task: str, model: str, probe: str) -> list[Block]:
    """A table, or the commonest confusions where there are many classes; nothing where several classes may hold."""
    found = study.confusions(task, model, probe)
    if found is None:
        return []
    names, counts = found
    caption = f"{parse_spec(model)}"
    return [_square(names, counts, caption) if len(names) <= CLASSES else _commonest(names, counts, caption)]


def _square(names: Sequence[str], counts: NDArray[np.int64], caption: str) -> Table:
    total = np.maximum(counts.sum(axis=1, keepdims=True), 1)
    share = counts / total
    rows: list[list[TD | str]] = [
        [f"{i + 1} {name}",
         *(TD(str(c) if c else "", number=True, tint=float(x) if i == j else -float(x))
           for j, (c, x) in enumerate(zip(counts[i].tolist(), share[i].tolist(), strict=True)))]
        for i, name in enumerate(names)
    ]  # fmt: skip
    return Table(caption, ["true", *(str(i + 1) for i in range(len(names)))], rows, compact=True)


def _commonest(names: Sequence[str], counts: NDArray[np.int64], caption: str) -> Table:
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:COMMONEST]
    rows: list[list[TD | str]] = []
    for at in order.tolist():
        i, j = divmod(at, len(names))
        if wrong[i, j]:
            share = f"{100 * counts[i, j] / counts[i].sum():.0f} % of {counts[i].sum()}"
            rows.append([names[i], names[j], TD(str(int(wrong[i, j])), share, number=True)])
    lost = int((wrong.sum(axis=1) > 0).sum())
    title = f"{caption}: the commonest of all confusions ({lost} of {len(names)} classes have any)"
    return Table(title, ["true", "said", "times"], rows or [[DASH, DASH, DASH]], compact=True)
