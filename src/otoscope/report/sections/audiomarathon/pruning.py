"""Paired differences from the bare model: curves against the kept share, semantic and acoustic tasks apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from markupsafe import Markup

from otoscope.core.naming import parse_spec
from otoscope.report.figures.curves import WIDE, Panel, Point, Series, panel_svg
from otoscope.report.figures.style import Style, subject_styles
from otoscope.report.figures.svg import swatch
from otoscope.report.section import TD, Block, Entry, Fold, Panels, Prose, Section, Table
from otoscope.report.sections.audiomarathon.quality import title
from otoscope.report.tables import DASH, interval, number
from otoscope.tasks.audiomarathon.kinds import KINDS
from otoscope.tasks.audiomarathon.study import Mean, Paired, Setting, Study

_LEAD = (
    "Each value is an intervention less the bare model on the same items, in points of right answers (transcripts: of "
    "100 less the item's word error rate, not below 0), with 95 % intervals over items. prune/random is the mean over "
    "its seeds. The official figure is the mean over tasks in percent of the bare model's, which is how HeadRouter "
    "reports; it has no pairing and leaves unreadable replies out, so a method that breaks answers can gain by it."
)


_SHARES = "Kept shares are those of the audio tokens above the pruning layer; of evict/ methods, those of the cache."


def pruning(study: Study, found: Sequence[Setting]) -> Section | None:
    """A part per setting; None where nothing was compared."""
    blocks: list[Block] = [Prose(_LEAD)]
    for i, s in enumerate(x for x in found if study.pairs.get(x.where)):
        inner: list[Block] = []
        if any(len(by) > 1 for by in study.families(s.where).values()):
            inner.append(kept_figure(study, s, f"kept{i}"))
        inner.append(_table(study, s))
        blocks.append(Fold(title(s), inner, i == 0))
    return Section("paired", "What is lost, paired", blocks) if len(blocks) > 1 else None


def kept_figure(study: Study, s: Setting, name: str = "kept") -> Panels:
    """Differences against the kept share: all tasks, semantic, acoustic; and the official percentage."""
    families = {n: by for n, by in study.families(s.where).items() if len(by) > 1}
    styles = subject_styles(families)
    parts = [
        ("all tasks", s.tasks),
        ("semantic tasks", s.of_domain("semantic")),
        ("acoustic tasks", s.of_domain("acoustic")),
    ]
    parts = [(word, tasks) for word, tasks in parts if tasks]
    panels = [
        _panel(f"{name}-{word}", word, families, styles, name, partial(_mean_of, tasks=tasks)) for word, tasks in parts
    ]
    titles = [f"difference in points, {word}" for word, _ in parts]
    if any(s.relative(x) is not None for x in s.lines):
        panels.append(_official(s, f"{name}-official", families, styles, name))
        titles.append("official mean, % of the bare model's")
    legend = [Entry(f, swatch(f"{name}-s{i}", styles[f]), f"{name}-{i}") for i, f in enumerate(families)]
    return Panels(name, panels, legend, _SHARES, titles)


def _panel(
    name: str, word: str, families: Mapping[str, Mapping[float, Paired]], styles: Mapping[str, Style], series: str,
    value: Callable[[Paired], Mean | None],
) -> Markup:  # fmt: skip
    curves = []
    for i, (f, by) in enumerate(families.items()):
        points = [Point(100 * k, m[0], m[1], m[2]) for k, p in by.items() if (m := value(p)) is not None]
        curves.append(Series(f, styles[f], points, f"{series}-{i}"))
    shape = Panel("", "kept share (%)", "", curves)
    return panel_svg(name, f"Difference from the bare model against the kept share, {word}", shape, WIDE)


def _official(
    s: Setting, name: str, families: Mapping[str, Mapping[float, Paired]], styles: Mapping[str, Style],
    series: str,
) -> Markup:  # fmt: skip
    lines = {x.intervention: s.relative(x) for x in s.lines}
    curves = []
    for i, f in enumerate(families):
        points = []
        for keep in families[f]:
            same = [v for n, v in lines.items() if v is not None and _is(n, f, keep)]
            if same:
                points.append(Point(100 * keep, sum(same) / len(same)))
        curves.append(Series(f, styles[f], points, f"{series}-{i}"))
    shape = Panel("", "kept share (%)", "", curves, levels=((100.0, "bare"),))
    return panel_svg(name, "Official mean in percent of the bare model's against the kept share", shape, WIDE)


def _mean_of(p: Paired, tasks: Sequence[str]) -> Mean | None:
    return p.mean(tasks)


def _is(intervention: str, family: str, keep: float) -> bool:
    spec = parse_spec(intervention)
    return str(spec.without("keep", "seed")) == family and spec.params.get("keep") == keep


def _table(study: Study, s: Setting) -> Table:
    semantic, acoustic = s.of_domain("semantic"), s.of_domain("acoustic")
    rows: list[Sequence[TD | str]] = []
    for name, p in study.pairs[s.where].items():
        line: list[TD | str] = [name, *(_cell(p.mean(t)) for t in (s.tasks, semantic, acoustic))]
        rows.append([*line, *(_cell(p.of(t)) for t in s.tasks)])
    header = ["intervention", "all", "semantic", "acoustic", *(KINDS[t].code for t in s.tasks)]
    return Table(f"Differences from the bare model in points, {title(s)}", header, rows, compact=True)


def _cell(found: Mean | None) -> TD:
    if found is None:
        return TD(DASH, number=True)
    value, low, high = found
    clear = low > 0 or high < 0
    tint = max(-1.0, min(1.0, value / 20)) if clear else None
    ends = (None, None) if low != low or high != high else (low, high)
    return TD(number(value, sign=True), interval(*ends), number=True, tint=tint)
