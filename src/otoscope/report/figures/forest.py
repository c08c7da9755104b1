"""Values with intervals along one axis, a row for each: differences by domain, a mark per pair of models."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup
from matplotlib.axes import Axes

from otoscope.report.figures.style import Style, key
from otoscope.report.figures.svg import draw, line_style

#: Height of a row, and of what is around the rows, in inches.
_ROW, _AROUND = 0.22, 0.95
_WIDTH = 5.6


@dataclass(frozen=True)
class Mark:
    """A value on row ``row`` of its group; ends None: no interval."""

    group: str
    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Marks:
    """One series of marks, at most one a group. ``series`` is the class by which a page hides it."""

    style: Style
    marks: Sequence[Mark]
    series: str = ""


@dataclass(frozen=True)
class Forest:
    """``groups`` from top to bottom; within each, the series one below the other. ``zero`` is drawn as a line."""

    title: str
    x_label: str
    groups: Sequence[str]
    series: Sequence[Marks]
    zero: float = 0.0


def forest_svg(name: str, alt: str, forest: Forest) -> Markup:
    """``forest`` as inline SVG, as high as it has rows; ``name`` must be unique on the page."""
    rows = len(forest.groups) * max(1, len(forest.series))
    size = (_WIDTH, _AROUND + _ROW * rows + 0.12 * len(forest.groups))
    return draw(re.sub(r"[^\w-]", "_", name), alt, lambda axes: _draw(axes, forest), size, bool(forest.title))


def _draw(axes: Axes, forest: Forest) -> None:
    n = max(1, len(forest.series))
    axes.axvline(forest.zero, color=key("soft"), linewidth=0.9, zorder=1.5)
    for i, series in enumerate(forest.series):
        colour = key(series.style.colour)
        gid = f"series-{series.series}" if series.series else None
        for m in series.marks:
            y = forest.groups.index(m.group) + (i + 0.5) / n * 0.8 - 0.4
            if m.low is not None and m.high is not None:
                axes.hlines([y], [m.low], [m.high], color=colour, linewidth=1.4, zorder=2.5, gid=gid)
            style = {**line_style(series.style), "linestyle": "none"}
            axes.plot([m.value], [y], zorder=3, gid=gid, **style)
    for edge in range(1, len(forest.groups)):
        axes.axhline(edge - 0.5, color=key("line"), linewidth=0.8, zorder=1)
    axes.set_ylim(len(forest.groups) - 0.45, -0.55)
    axes.set_yticks(range(len(forest.groups)), list(forest.groups))
    axes.tick_params(axis="y", length=0)
    axes.grid(False, axis="y")
    axes.set_title(forest.title)
    axes.set_xlabel(forest.x_label)
