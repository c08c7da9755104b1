"""Scores by task, published rows beside them, averages on every scale, and how far an order of models holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from otoscope.report.section import TD, Block, Fold, Prose, Section, Table
from otoscope.report.sections.probes.words import cell, probe_title, task_title
from otoscope.report.tables import DASH, number, percent
from otoscope.tasks.probes.averages import ASSUMES, Point
from otoscope.tasks.probes.findings import averages_of, scales_of
from otoscope.tasks.probes.published import published
from otoscope.tasks.probes.ranks import rank_stability
from otoscope.tasks.probes.study import Study, published_key

#: Which published column is of the same kind as a probe's.
COLUMN = {"xares-mlp": "mlp", "knn-xares": "knn", "knn-cosine": "knn"}
TABLE = "xares-readme"


def scores(study: Study) -> Section:
    """Per probe a table of scores with published rows beside."""
    blocks: list[Block] = [
        Prose(
            "Shares of one, higher is better; intervals are over test items in their groups. Chance is what knowing "
            "nothing gets."
        )
    ]
    for i, probe in enumerate(study.probes):
        points = points_of(study, probe)
        found: list[Block] = [score_table(probe, points), *_published(probe, points)]
        blocks.append(Fold(probe_title(probe), found, i == 0))
    return Section("scores", "Scores by task", blocks)


def points_of(study: Study, probe: str) -> dict[str, list[Point]]:
    """By model, where it has any."""
    return {m: study.points[m, probe] for m in study.models if (m, probe) in study.points}


def score_table(probe: str, points: Mapping[str, Sequence[Point]]) -> Table:
    """Tasks by models; the best value of a line is marked by a tint, which is no test."""
    by = {m: {p.task: p for p in found} for m, found in points.items()}
    tasks = list(dict.fromkeys(t for found in by.values() for t in found))
    rows: list[list[TD | str]] = []
    for t in tasks:
        known = [found[t] for found in by.values() if t in found]
        chance = next((p.chance for p in known if p.value is not None), None)
        rows.append([task_title(t), known[0].domain, TD(number(chance, 3), number=True),
                     *(cell(found.get(t)) for found in by.values())])  # fmt: skip
    return Table(f"Scores, {probe}", ["task", "domain", "chance", *points], rows, compact=True)


def _published(probe: str, points: Mapping[str, Sequence[Point]]) -> list[Block]:
    """The published cells of the tasks of this run, beside the measured ones."""
    tasks = list(dict.fromkeys(p.task for found in points.values() for p in found if p.task.startswith("xares/")))
    if probe not in COLUMN:
        return []
    if not tasks:
        return [Prose("No published rows: these tasks are not X-ARES'.", "note")]
    table = published(TABLE)
    cells = table.scores[COLUMN[probe]]
    rows: list[list[TD | str]] = []
    for t in tasks:
        own = [next((p for p in found if p.task == t), None) for found in points.values()]
        there = [by.get(published_key(t)) for by in cells.values()]
        rows.append([task_title(t), *map(cell, own), *(TD(number(x, 3), number=True) for x in there)])
    header = ["task", *(f"{m} (measured)" for m in points), *(f"{table.names[m]} (published)" for m in cells)]
    text = f"Published: {table.source}. Protocol {table.protocol}. Not measured here. {table.note}"
    if probe == "knn-cosine":
        text += " Published kNN normalises over the wrong axis; knn-xares does the same."
    return [Table(f"Beside published rows, {probe}", header, rows, compact=True), Prose(text, "note")]


def averages(study: Study) -> Section:
    """Every average on every scale, per probe; then the orders of models."""
    blocks: list[Block] = [
        Prose(
            "weighted is X-ARES' average (its weights are test-set sizes cut at 2000, and 10 000 for ASR); macro takes "
            "tasks alike, domains takes domains alike. A line that would repeat another by construction is left out. "
            f"Of the intervals: {ASSUMES}. A published average is over other tasks, unless all 22 were run."
        )
    ]
    for i, probe in enumerate(study.probes):
        points = points_of(study, probe)
        found: list[Block] = [average_table(study, probe)]
        if len(points) > 1:
            found += stability(points, study.pairs[0][0] if study.pairs else None)
        blocks.append(Fold(probe_title(probe), found, i == 0))
    return Section("averages", "Averages, and what they hang on", blocks)


def average_table(study: Study, probe: str) -> Table:
    """Scales and averages by models, with the published average beside where the tasks are X-ARES'."""
    points = points_of(study, probe)
    rows: list[list[TD | str]] = []
    for scale in scales_of(points, study.pairs[0][0] if study.pairs else None):
        by = [{a.name: a for a in averages_of(p, scale)} for p in points.values()]
        for name in dict.fromkeys(n for found in by for n in found):
            rows.append([scale.name, scale.about, name, *(cell(found.get(name)) for found in by)])
    return Table(f"Averages, {probe}", ["scale", "which says", "average", *points], rows, compact=True)


def stability(points: Mapping[str, Sequence[Point]], baseline: str | None) -> list[Block]:
    """Ranks under every weighting and scale."""
    found = rank_stability(points, scales_of(points, baseline))
    orders: list[list[TD | str]] = [
        [o.weighting, o.scale, *(TD(f"{o.ranks[m]:g}", number=True) for m in points),
         TD(DASH if o.agreement is None else number(o.agreement, 2), number=True)]
        for o in found.orders
    ]  # fmt: skip
    standing: list[list[TD | str]] = [
        [s.model, TD(f"{s.best:g}", number=True), TD(f"{s.worst:g}", number=True), TD(percent(s.first), number=True)]
        for s in found.standings
    ]
    text = (
        f"Over the {len(found.tasks)} tasks that all models have. Best and worst are over these choices and with each "
        f"task left out in turn; first is the share of {found.n_draws} random weightings that put a model first."
    )
    return [
        Table("Ranks", ["weights", "scale", *points, "Kendall's tau with the first line"], orders, compact=True),
        Table("Standing", ["model", "best rank", "worst rank", "first"], standing, compact=True),
        Prose(text, "note"),
    ]
