"""Score against seconds and against tokens, a panel per family, and the paired differences in a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from markupsafe import Markup

from otoscope.report.figures.curves import WIDE, Panel, Point, Series, panel_svg
from otoscope.report.figures.style import Style, subject_styles
from otoscope.report.figures.svg import swatch
from otoscope.report.section import TD, Block, Entry, Fold, Panels, Prose, Section, Table, Tone
from otoscope.report.tables import DASH, interval, number
from otoscope.tasks.longaudio.families import FAMILIES
from otoscope.tasks.longaudio.study import Answers, Study, chance

_LEAD = (
    "The same questions about longer and longer versions of the same recording: a shorter version lies inside the "
    "longer one, so what is asked about does not change. Right answers in percent (transcripts: 100 less the item's "
    "word error rate, not below 0); replies that cannot be read are wrong. Bands are 95 % intervals over items. The "
    "line is what guessing gets."
)


def lengths(study: Study) -> Section | None:
    """Figures and table; None where nothing was answered."""
    if not study.answers:
        return None
    styles = styles_of(study)
    blocks: list[Block] = [
        Prose(_LEAD),
        Fold("Against seconds", [length_figure(study, styles, "seconds")], True),
        Fold("Against audio tokens", [length_figure(study, styles, "tokens")]),
        change_table(study),
    ]
    if any(a.lost for a in study):
        n = sum(sum(a.lost.values()) for a in study)
        blocks.append(Prose(f"{n} items failed and are in no mean; the section on failures says why.", "caution"))
    return Section("lengths", "What length does", blocks)


def styles_of(study: Study) -> Mapping[tuple[str, str, str], Style]:
    """A look per setting."""
    settings = list(dict.fromkeys(a.setting for a in study))
    found = subject_styles([" | ".join(s) for s in settings])
    return {s: found[" | ".join(s)] for s in settings}


def name_of(setting: tuple[str, str, str]) -> str:
    model, intervention, condition = setting
    parts = [model, "" if intervention == "none" else intervention, "" if condition == "intact" else condition]
    return ", ".join(p for p in parts if p)


def length_figure(study: Study, styles: Mapping[tuple[str, str, str], Style], axis: str) -> Panels:
    """A panel per family."""
    order = list(styles)
    ident = f"length-{axis}"
    panels: list[Markup] = []
    for family in study.families:
        curves = [
            Series(name_of(a.setting), styles[a.setting], _points(a, axis), f"l{order.index(a.setting)}")
            for a in study.of_family(family)
        ]
        guess = chance(family)
        levels = ((0.0, ""),) if guess is None else ((guess, "guessing"),)
        label = "seconds" if axis == "seconds" else "audio tokens"
        ticks = sorted({p.x for c in curves for p in c.points}) if axis == "seconds" else ()
        shape = Panel(
            "", label, "", curves, ticks=ticks, y_limits=(-3.0, 103.0), levels=levels, logarithmic=bool(ticks)
        )
        panels.append(panel_svg(f"{ident}-{family}", f"Right answers against {label}, {family}", shape, WIDE))
    legend = [Entry(name_of(s), swatch(f"{ident}-{i}", styles[s]), f"l{i}") for i, s in enumerate(order)]
    titles = [f"{f}: {FAMILIES[f].title} (%)" if f in FAMILIES else f for f in study.families]
    return Panels(ident, panels, legend, "", titles)


def _points(a: Answers, axis: str) -> list[Point]:
    found = []
    for s, mean in a.by_length():
        x = s if axis == "seconds" else a.tokens_at(s)
        if np.isfinite(x) and (axis == "seconds" or x > 0):
            low, high = (None if not np.isfinite(v) else v for v in (mean.low, mean.high))
            found.append(Point(x, mean.value, low, high))
    return found


def change_table(study: Study) -> Table:
    """A line per family and setting: the shortest length, then what each longer one adds."""
    every = sorted({s for a in study for s in a.lengths})
    rows: list[Sequence[TD | str]] = []
    for a in study:
        known = dict(a.by_length())
        first = known[a.lengths[0]]
        line: list[TD | str] = [f"{a.family}, {name_of(a.setting)}"]
        line.append(TD(number(first.value), interval(*_ends(first.low, first.high)), number=True))
        for s in every[1:]:
            d = a.change(s)
            if d is None:
                line.append(TD(DASH, number=True))
                continue
            clear = d.low > 0 or d.high < 0
            tone: Tone | None = None if not clear else "good" if d.value > 0 else "bad"
            line.append(TD(number(d.value, sign=True), interval(*_ends(d.low, d.high)), number=True, tone=tone))
        tokens = a.tokens_at(a.lengths[-1])
        line.append(TD(number(tokens, 0) if np.isfinite(tokens) else DASH, number=True))
        rows.append(line)
    header = [
        "family",
        f"at {every[0]:g} s (%)",
        *(f"{s:g} s less {every[0]:g} s" for s in every[1:]),
        "tokens at most",
    ]
    return Table("Paired differences between lengths, in points (shaded: the interval is clear of 0)", header, rows)


def _ends(low: float, high: float) -> tuple[float | None, float | None]:
    return (None, None) if not np.isfinite(low) or not np.isfinite(high) else (low, high)
