"""Score against cost: Pareto fronts, the best under a bound on time, the fastest above a bound on score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from otoscope.core.naming import parse_spec
from otoscope.report.figures.curves import WIDE, Panel, Point, Series, panel_svg
from otoscope.report.figures.style import Style, subject_styles
from otoscope.report.figures.svg import swatch
from otoscope.report.section import TD, Block, Entry, Fold, Panels, Prose, Section, Table
from otoscope.report.sections.audiomarathon.quality import title
from otoscope.report.tables import DASH, number, significant
from otoscope.tasks.audiomarathon.study import BUDGETS, FLOORS, LATENCY, Line, Setting

#: What a score is drawn against: name of the score, label, factor.
_AXES = (
    (LATENCY, "time to first token (ms)", 1e3), ("cache_bytes", "keys and values (MB)", 1e-6),
    ("kept_audio_share", "kept audio tokens (%)", 100.0),
)  # fmt: skip


def front(found: Sequence[Setting]) -> Section | None:
    """A part per setting in which something was left out."""
    told = [s for s in found if s.where[1] == "intact" and s.bare is not None and len(s.savers) > 1]
    if not told:
        return None
    lead = (
        "Further left is cheaper, higher is better; bars are 95 % intervals of the mean over tasks. A method on the "
        "front is beaten by no other in both. The bare model is the line."
    )
    blocks: list[Block] = [Prose(lead)]
    for i, s in enumerate(told):
        inner: list[Block] = [front_figure(s, f"front{i}"), _within(s), _above(s)]
        blocks.append(Fold(title(s), inner, i == 0))
    return Section("front", "What quality costs", blocks)


def front_figure(s: Setting, name: str = "front") -> Panels:
    """A panel per kind of cost; the caption names who is on the front."""
    families = list(dict.fromkeys(family(x.intervention) for x in s.savers))
    styles = subject_styles(families)
    axes = [(n, label, f) for n, label, f in _AXES if sum(x.cost(n) is not None for x in s.savers) > 1]
    panels = [_panel(s, f"{name}-{n}", n, label, f, styles, name) for n, label, f in axes]
    legend = [Entry(f, swatch(f"{name}-s{i}", styles[f]), f"{name}-{i}") for i, f in enumerate(families)]
    best = ", ".join(x.intervention for x in s.front())
    return Panels(
        name,
        panels,
        legend,
        f"On the front of score against time: {best}.",
        [f"mean score against {a[1]}" for a in axes],
    )


def _panel(
    s: Setting, name: str, cost: str, label: str, factor: float, styles: Mapping[str, Style], series: str
) -> Markup:
    by: dict[str, list[Point]] = {}
    for x in s.savers:
        c, m = x.cost(cost), x.mean()
        if c is not None and m is not None:
            by.setdefault(family(x.intervention), []).append(Point(c * factor, m[0], m[1], m[2]))
    order = list(styles)
    curves = [Series(f, styles[f], points, f"{series}-{order.index(f)}", line=False) for f, points in by.items()]
    base = s.bare.mean() if s.bare else None
    levels = ((0.0, ""),) if base is None else ((base[0], "bare"),)
    return panel_svg(name, f"Mean score against {label}", Panel("", label, "", curves, levels=levels), WIDE)


def family(intervention: str) -> str:
    """The method without its kept share and seed."""
    if "+" in intervention and ":" not in intervention.partition("+")[0]:
        return intervention
    return str(parse_spec(intervention).without("keep", "seed"))


def _within(s: Setting) -> Table:
    base = s.bare.cost(LATENCY) if s.bare else None
    rows = [[f"{100 * b:.0f} % ({_ms(None if base is None else b * base)})", *_told(s.best_within(b))] for b in BUDGETS]
    header = ["time to first token, at most", "best", "mean score", "first token (ms)"]
    return Table("Accuracy at fixed latency", header, rows)


def _above(s: Setting) -> Table:
    base = s.bare.mean() if s.bare else None
    rows = [
        [f"{100 * b:.0f} % ({number(None if base is None else b * base[0])})", *_told(s.fastest_above(b))]
        for b in FLOORS
    ]
    return Table(
        "Latency at fixed accuracy", ["mean score, at least", "fastest", "mean score", "first token (ms)"], rows
    )


def _told(x: Line | None) -> list[TD | str]:
    if x is None:
        return [DASH, TD(DASH, number=True), TD(DASH, number=True)]
    m = x.mean()
    return [x.intervention, TD(number(m[0] if m else None), number=True), TD(_ms(x.cost(LATENCY)), number=True)]


def _ms(seconds: float | None) -> str:
    return DASH if seconds is None else significant(1e3 * seconds)
