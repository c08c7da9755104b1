"""Curves with intervals: gated points solid, points that a gate closed thin and hollow."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import matplotlib.ticker
import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes

from otoscope.report.figures.style import Style, key
from otoscope.report.figures.svg import draw, line_style

#: Sizes of panels in inches at 72 dots: many side by side, or two.
NARROW, WIDE = (4.2, 3.0), (5.6, 3.6)
#: What an axis of ratios shows at most (dB); what lies beyond is marked at its edge.
ROOM_DB = (-20.0, 30.0)
#: What an axis of ratios shows at least (dB): differences of rounding must not fill a figure.
SPAN_DB = 4.0


@dataclass(frozen=True)
class Point:
    """One value with its interval, and that of ``x`` where it was measured too. ``trusted`` is false where a gate
    closed; ``bound`` "<" or ">" where it is one."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None
    trusted: bool = True
    bound: str | None = None
    x_low: float | None = None
    x_high: float | None = None


@dataclass(frozen=True)
class Series:
    """One curve. ``series`` is the class by which a page hides it."""

    label: str
    style: Style
    points: Sequence[Point]
    series: str = ""
    line: bool = True


@dataclass(frozen=True)
class Band:
    """A shaded range over x."""

    x: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]
    colour: str = "band"
    series: str = ""


@dataclass(frozen=True)
class Panel:
    """What one panel shows. ``logarithmic`` x for frequencies; ``levels`` are horizontal lines with a word each."""

    title: str
    x_label: str
    y_label: str
    series: Sequence[Series]
    bands: Sequence[Band] = ()
    ticks: Sequence[float] = ()
    logarithmic: bool = False
    y_limits: tuple[float, float] | None = None
    y_ticks: Sequence[float] = ()
    levels: Sequence[tuple[float, str]] = field(default=((0.0, ""),))


def panel_svg(name: str, alt: str, panel: Panel, size: tuple[float, float] = NARROW) -> Markup:
    """``panel`` as inline SVG; ``name`` must be unique on the page."""
    return draw(re.sub(r"[^\w-]", "_", name), alt, lambda axes: draw_panel(axes, panel), size, bool(panel.title))


def draw_panel(axes: Axes, panel: Panel) -> None:
    """Draw ``panel`` on ``axes``."""
    if panel.logarithmic:
        axes.set_xscale("log", base=2)
        axes.xaxis.set_minor_locator(matplotlib.ticker.NullLocator())
    if panel.ticks:
        axes.set_xticks(list(panel.ticks), [short(t) for t in panel.ticks])
        _pad(axes, panel)
    for level, word in panel.levels:
        axes.axhline(level, color=key("soft"), linewidth=0.9, zorder=1.5)
        if word:
            axes.annotate(
                word,
                (1.0, level),
                xycoords=("axes fraction", "data"),
                xytext=(-2, -3),
                textcoords="offset points",
                horizontalalignment="right",
                verticalalignment="top",
                fontsize=8.5,
                color=key("soft"),
            )
    for band in panel.bands:
        axes.fill_between(
            band.x, band.low, band.high, color=key(band.colour), alpha=0.3, linewidth=0, zorder=1, gid=_gid(band.series)
        )
    if panel.y_limits is not None:
        axes.set_ylim(*panel.y_limits)
    for series in panel.series:
        _draw_series(axes, series, panel.y_limits)
    axes.set_title(panel.title)
    axes.set_xlabel(panel.x_label)
    axes.set_ylabel(panel.y_label)
    if panel.y_ticks:
        axes.set_yticks(list(panel.y_ticks))
    else:
        axes.yaxis.set_major_locator(matplotlib.ticker.MaxNLocator(nbins=6, integer=_is_wide(axes)))


def _draw_series(axes: Axes, series: Series, limits: tuple[float, float] | None) -> None:
    points = sorted(series.points, key=lambda p: p.x)
    gid = _gid(series.series)
    trusted = [p for p in points if p.trusted and p.bound is None]
    _interval_band(axes, trusted, series, gid)
    if series.line and len(points) > 1 and len(trusted) < len(points):
        thin = {**line_style(series.style, thin=True), "marker": "None", "alpha": 0.8}
        axes.plot([p.x for p in points], [_inside(p.y, limits) for p in points], gid=gid, zorder=2, **thin)
    if series.line:
        # A gap in the trusted points is a gap in the line.
        ys = [p.y if p.trusted and p.bound is None else math.nan for p in points]
        axes.plot([p.x for p in points], ys, gid=gid, zorder=3, **line_style(series.style))
    elif trusted:
        style = {**line_style(series.style), "linestyle": "none"}
        axes.plot([p.x for p in trusted], [p.y for p in trusted], gid=gid, zorder=3, **style)
    hollow = {**line_style(series.style, hollow=True, thin=True), "linestyle": "none"}
    if not series.style.marker:
        hollow["marker"] = "o"
    for p in points:
        if limits is not None and not limits[0] <= p.y <= limits[1]:
            axes.plot(
                [p.x],
                [_inside(p.y, limits)],
                gid=gid,
                zorder=3,
                **{**hollow, "marker": "^" if p.y > limits[1] else "v"},
            )
        elif p.bound is not None:
            axes.plot([p.x], [p.y], gid=gid, zorder=3, **{**hollow, "marker": "^" if p.bound == ">" else "v"})
        elif not p.trusted:
            axes.plot([p.x], [p.y], gid=gid, zorder=3, **hollow)


def _interval_band(axes: Axes, points: Sequence[Point], series: Series, gid: str | None) -> None:
    """Intervals as a band along a line, as bars otherwise (also where a band would have no width)."""
    with_interval = [p for p in points if p.low is not None and p.high is not None]
    if not with_interval:
        return
    x = [p.x for p in with_interval]
    low, high = ([getattr(p, end) for p in with_interval] for end in ("low", "high"))
    colour = key(series.style.colour)
    if series.line and len(points) > 1:
        axes.fill_between(x, low, high, color=colour, alpha=0.16, linewidth=0, zorder=2, gid=gid)
    else:
        axes.vlines(x, low, high, color=colour, linewidth=1.2, zorder=2.5, gid=gid)
    for p in points:
        if p.x_low is not None and p.x_high is not None:
            axes.hlines([p.y], [p.x_low], [p.x_high], color=colour, linewidth=1.2, zorder=2.5, gid=gid)


def shared_limits(series: Iterable[Series], bands: Iterable[Band] = ()) -> tuple[float, float]:
    """One y axis for several panels: holds every trusted value with its interval, and of the others what lies within
    :data:`ROOM_DB`."""
    values = [0.0]
    for s in series:
        for p in s.points:
            ends = [v for v in (p.y, p.low, p.high) if v is not None]
            values += ends if p.trusted else [v for v in ends if ROOM_DB[0] <= v <= ROOM_DB[1]]
    for b in bands:
        values += [v for v in (*b.low, *b.high) if ROOM_DB[0] <= v <= ROOM_DB[1]]
    low, high = min(values), max(values)
    spare = max(0.0, SPAN_DB - (high - low)) / 2.0
    pad = 0.06 * max(high - low, SPAN_DB)
    return low - spare - pad, high + spare + pad


def beyond(series: Iterable[Series], limits: tuple[float, float]) -> int:
    """How many points lie outside the axis."""
    return sum(not limits[0] <= p.y <= limits[1] for s in series for p in s.points)


def short(value: float) -> str:
    """A tick: ``500``, ``4k``, ``−14``."""
    if abs(value) >= 1000.0 and value % 1000.0 == 0.0:
        return f"{value / 1000.0:g}k"
    return f"{value:g}".replace("-", "\N{MINUS SIGN}")


def _inside(y: float, limits: tuple[float, float] | None) -> float:
    return y if limits is None else float(np.clip(y, *limits))


def _pad(axes: Axes, panel: Panel) -> None:
    xs = [*panel.ticks, *(p.x for s in panel.series for p in s.points)]  # ticks may be thinned, points never are
    low, high = min(xs), max(xs)
    if panel.logarithmic:
        axes.set_xlim(low / 1.25, high * 1.25)
    else:
        pad = 0.05 * (high - low) or 1.0
        axes.set_xlim(low - pad, high + pad)


def _is_wide(axes: Axes) -> bool:
    low, high = axes.get_ylim()
    return bool(high - low > 6.0)


def _gid(series: str) -> str | None:
    return f"series-{series}" if series else None
