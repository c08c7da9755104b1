"""What every head does with sound, by domain of tasks, and what the answers lose without some of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from otoscope.report.figures.heat import Heat, heat_svg
from otoscope.report.section import TD, Block, Panels, Prose, Section, Table
from otoscope.report.sections.audiomarathon.quality import title
from otoscope.report.tables import DASH, interval, number
from otoscope.results.store import Results
from otoscope.tasks.audiomarathon.kinds import KINDS
from otoscope.tasks.audiomarathon.study import PREFIX, Mean, Setting, Study

_STATISTICS = ("responsiveness", "selectivity")
_DOMAINS = ("semantic", "acoustic")
_SIZE = (4.2, 3.4)
_KNOCK, _ATLAS = "knock-heads", "head-atlas"


def heads(store: Results, study: Study, found: Sequence[Setting]) -> Section | None:
    """Maps of layers by heads, and a table of knock-outs; None where neither was run."""
    blocks: list[Block] = []
    for i, (model, maps) in enumerate(atlases(store).items()):
        blocks.append(_maps(f"atlas{i}", model, maps))
    for s in found:
        names = [n for n in study.pairs.get(s.where, {}) if n.startswith(_KNOCK)]
        if names:
            blocks.append(_table(study, s, names))
    if not blocks:
        return None
    lead = (
        "Responsiveness is the share of the text's attention that falls on sound, selectivity 1 less the entropy of "
        "how that share is spread over it (0: evenly), both before the rotary embedding. A head that listens need not "
        "matter: knocking heads out says whether the answers rest on them, against as many heads drawn at random."
    )
    return Section("heads", "Which heads listen", [Prose(lead), *blocks])


def atlases(store: Results) -> dict[str, dict[tuple[str, str], NDArray[np.float64]]]:
    """Model -> (statistic, domain) -> mean over tasks and their items ``[layers, heads]``, every task alike."""
    by: dict[str, dict[tuple[str, str], list[NDArray[np.float64]]]] = {}
    for cell in store.cells():
        name = cell.task.partition(":")[0]
        if cell.status == "superseded" or cell.intervention != _ATLAS or not name.startswith(PREFIX):
            continue
        domain = KINDS[name.removeprefix(PREFIX)].domain
        sums: dict[str, dict[tuple[int, int], list[float]]] = {}
        for row in store.rows(cells=[cell.cell], columns=["metric", "value"]).to_pylist():
            statistic, _, place = row["metric"].partition(".")
            if statistic in _STATISTICS and place and row["value"] is not None:
                layer, head = map(int, place.split("."))
                sums.setdefault(statistic, {}).setdefault((layer, head), []).append(row["value"])
        for statistic, places in sums.items():
            shape = tuple(1 + max(p[i] for p in places) for i in (0, 1))
            grid = np.full(shape, np.nan)
            for place_, values in places.items():
                grid[place_] = np.mean(values)
            by.setdefault(cell.model, {}).setdefault((statistic, domain), []).append(grid)
    return {m: {k: np.mean(grids, axis=0) for k, grids in found.items()} for m, found in by.items()}


def _maps(name: str, model: str, maps: dict[tuple[str, str], NDArray[np.float64]]) -> Panels:
    panels: list[Markup] = []
    titles, told = [], []
    for statistic in _STATISTICS:
        mine = {d: maps[statistic, d] for d in _DOMAINS if (statistic, d) in maps}
        if not mine:
            continue
        limits = (min(float(np.nanmin(g)) for g in mine.values()), max(float(np.nanmax(g)) for g in mine.values()))
        told.append(f"{statistic} from {limits[0]:.3f} (faint) to {limits[1]:.3f} (dark)")
        for domain, grid in mine.items():
            step = max(1, grid.shape[1] // 8)
            heat = Heat(
                "", "head", "layer", grid, _every(len(grid), 12),
                range(len(grid)), [(i, str(i)) for i in range(0, grid.shape[1], step)], limits=limits,
            )  # fmt: skip
            panels.append(
                heat_svg(f"{name}-{statistic}-{domain}", f"{statistic} by layer and head, {domain} tasks", heat, _SIZE)
            )
            titles.append(f"{statistic}, {domain} tasks")
    return Panels(name, panels, (), f"{model}, means over tasks and items. Shades: {'; '.join(told)}.", titles)


def _every(n: int, most: int) -> list[str]:
    """Numbers of rows, some left blank where there are many."""
    return [str(i) if i % max(1, n // most) == 0 else "" for i in range(n)]


def _table(study: Study, s: Setting, names: Sequence[str]) -> Table:
    lines = {x.intervention: x for x in s.lines}
    rows: list[Sequence[TD | str]] = []
    for name in names:
        p = study.pairs[s.where][name]
        same = lines[name].cost("same_answer") if name in lines else None
        cells = [_cell(p.mean(t)) for t in (s.tasks, s.of_domain("semantic"), s.of_domain("acoustic"))]
        knocked = lines[name].cost("knocked_heads") if name in lines else None
        told = [TD(number(knocked, 0), number=True), TD(number(None if same is None else 100 * same), number=True)]
        rows.append([name, told[0], *cells, told[1]])
    header = ["intervention", "heads", "all", "semantic", "acoustic", "same answers (%)"]
    return Table(f"Without some heads, less with all, in points: {title(s)}", header, rows, compact=True)


def _cell(found: Mean | None) -> TD:
    if found is None:
        return TD(DASH, number=True)
    ends = (None, None) if np.isnan(found[1]) or np.isnan(found[2]) else (found[1], found[2])
    return TD(number(found[0], sign=True), interval(*ends), number=True)
