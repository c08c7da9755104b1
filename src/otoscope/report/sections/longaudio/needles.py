"""Needle recall against position and depth, and chains of hops against their hops alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from otoscope.report.figures.curves import WIDE, Panel, Point, Series, panel_svg
from otoscope.report.figures.heat import Heat, heat_svg
from otoscope.report.figures.style import Style
from otoscope.report.figures.svg import swatch
from otoscope.report.section import TD, Entry, Panels, Prose, Section, Table
from otoscope.report.sections.longaudio.lengths import name_of
from otoscope.report.tables import DASH, interval, number
from otoscope.tasks.longaudio.study import Answers, Chain, Study, at_positions, by_depth, chains, chance

_SIZE = (4.6, 2.6)


def needles(study: Study, styles: Mapping[tuple[str, str, str], Style]) -> Section | None:
    """A map of length by position per setting, and recall against the seconds after the needle."""
    found = study.of_family("needle")
    if not found:
        return None
    panels = []
    for i, a in enumerate(found):
        lengths, positions, grid = at_positions(a)
        heat = Heat(
            "", "position", "s", grid, [f"{s:g}" for s in lengths], range(len(lengths)),
            [(j, f"{p:g}") for j, p in enumerate(positions)],
            limits=(0.0, 100.0),
        )  # fmt: skip
        panels.append(
            heat_svg(f"needle-map-{i}", f"Needles found by length and position, {name_of(a.setting)}", heat, _SIZE)
        )
    caption = "A row per length, position 0 at the start and 1 at the end; faint is 0 %, dark 100 % found."
    maps = Panels("needle-maps", panels, (), caption, [name_of(a.setting) for a in found])
    lead = (
        "One spoken digit among sounds, at a set place. Depth is how many seconds of sound come after it, whatever the "
        "length; its bins hold as many answers each."
    )
    return Section("needles", "Where a needle is found", [Prose(lead), maps, _depth(found, styles), _table(found)])


def _depth(found: Sequence[Answers], styles: Mapping[tuple[str, str, str], Style]) -> Panels:
    order = list(styles)
    curves = []
    for a in found:
        points = [Point(x, m.value, *_ends(m.low, m.high)) for x, m in by_depth(a)]
        curves.append(Series(name_of(a.setting), styles[a.setting], points, f"l{order.index(a.setting)}"))
    guess = chance("needle") or 0.0
    shape = Panel("", "seconds after the needle", "", curves, y_limits=(-3.0, 103.0), levels=((guess, "guessing"),))
    panel = panel_svg("needle-depth", "Needles found against the seconds after them", shape, WIDE)
    legend = [
        Entry(name_of(a.setting), swatch(f"needle-depth-{i}", styles[a.setting]), f"l{order.index(a.setting)}")
        for i, a in enumerate(found)
    ]
    return Panels("needle-depth", [panel], legend, "", ["needles found (%) against depth"])


def _table(found: Sequence[Answers]) -> Table:
    rows: list[Sequence[TD | str]] = []
    positions = sorted({p for a in found for p in a.position.tolist()})
    for a in found:
        line: list[TD | str] = [name_of(a.setting)]
        for p in positions:
            m = a.mean(a.position == p)
            line.append(
                TD(DASH, number=True)
                if m is None
                else TD(number(m.value, 0), interval(*_ends(m.low, m.high), 0), number=True)
            )
        rows.append(line)
    return Table("Needles found (%), all lengths together, by position", ["", *(f"{p:g}" for p in positions)], rows)


def hops(study: Study) -> Section | None:
    """Chains: a table per setting."""
    found = study.of_family("hops")
    if not found:
        return None
    lead = (
        "Every question of a chain is about the same sound. The product is what a chain would get if its hops, asked "
        "alone, failed independently: a chain far below it is hard to put together, one above it is guessed or solved "
        "in another way."
    )
    tables = [_chain_table(a) for a in found]
    return Section("hops", "Chains of hops", [Prose(lead), *tables])


def _chain_table(a: Answers) -> Table:
    rows = [_line(c) for c in chains(a)]
    header = [
        "seconds",
        "count",
        "number after",
        "sound after",
        "two hops",
        "product of 2",
        "three hops",
        "product of 3",
    ]
    return Table(f"Right answers (%), {name_of(a.setting)}", header, rows)


def _line(c: Chain) -> list[TD | str]:
    def cell(name: str) -> TD:
        m = c.alone.get(name)
        return (
            TD(DASH, number=True)
            if m is None
            else TD(number(m.value, 0), interval(*_ends(m.low, m.high), 0), number=True)
        )

    def product(name: str) -> TD:
        return TD(number(c.product.get(name), 0), number=True)

    singles = [cell(n) for n in ("count", "number-after", "sound-after")]
    return [f"{c.seconds:g}", *singles, cell("two"), product("two"), cell("three"), product("three")]


def _ends(low: float, high: float) -> tuple[float | None, float | None]:
    return (None, None) if not np.isfinite(low) or not np.isfinite(high) else (low, high)
