"""Matplotlib figures as inline SVG: deterministic, with ids of their own, colours as CSS variables, text as text.

Matplotlib's file is taken apart only where it must be: prologue, metadata and namespaces go (HTML needs none), every
id gets the figure's prefix, gids that start with ``series-`` become classes so that a page can hide a series in all
panels, and colour keys become ``var(--name)``.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from html import escape
from typing import Any

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from otoscope.report.figures.record import Drawn, book
from otoscope.report.figures.style import COLOURS, Style, key

#: Left, bottom, right and top of the axes, in inches.
_MARGINS = (0.56, 0.46, 0.08, 0.28)
_KEYS = {key(name): f"var(--{name})" for name in COLOURS}


def settings() -> Any:  # the stubs type every name of a setting
    """Matplotlib's settings of every figure."""
    return {
        "svg.fonttype": "none",
        "svg.hashsalt": "otoscope",
        "font.family": "sans-serif",
        "font.size": 10.0,
        "text.parse_math": False,
        "text.color": key("ink"),
        "axes.edgecolor": key("soft"),
        "axes.labelcolor": key("ink"),
        "axes.facecolor": "none",
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.linewidth": 0.8,
        "axes.titlesize": 10.5,
        "axes.titlelocation": "left",
        "axes.titleweight": "bold",
        "axes.unicode_minus": True,
        "grid.color": key("line"),
        "grid.linewidth": 0.6,
        "xtick.color": key("soft"),
        "ytick.color": key("soft"),
        "xtick.labelcolor": key("ink"),
        "ytick.labelcolor": key("ink"),
        "lines.solid_capstyle": "round",
        "legend.frameon": False,
        "path.simplify": False,
    }


def draw(name: str, alt: str, plot: Callable[[Axes], None], size: tuple[float, float], titled: bool) -> Markup:
    """One panel: ``plot`` gets the axes, ``alt`` is what a screen reader says, ``name`` makes ids unique on the page.

    ``size`` in inches at 72 dots: (4.2, 3.0) is 302 x 216 CSS pixels, which the page scales to its column.
    """
    if (opened := book()) is not None:
        return opened.panel(name, Drawn(alt, plot, size))
    with mpl.rc_context(settings()):
        figure = Figure(figsize=size)
        figure.patch.set_alpha(0.0)
        FigureCanvasSVG(figure)
        margins = _MARGINS if titled else (*_MARGINS[:3], _MARGINS[2])
        # Margins in inches rather than a layout engine: panels of one size line up, and are drawn once.
        left, bottom, right, top = (inches / side for inches, side in zip(margins, (*size, *size), strict=True))
        plot(figure.add_axes((left, bottom, 1.0 - left - right, 1.0 - bottom - top)))
        return _export(figure, name, alt)


def _export(figure: Figure, name: str, alt: str, *, css_class: str = "plot") -> Markup:
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return Markup(inline(out.getvalue(), name, alt, css_class=css_class))


def inline(svg: str, name: str, alt: str, *, css_class: str = "plot") -> str:
    """A standalone SVG file as an element for a page; see the module. Screen readers skip it without ``alt``."""
    box = re.search(r'viewBox="([^"]+)"', svg)
    if box is None:
        raise ValueError("the SVG has no viewBox")
    body = svg[svg.index("<svg") :]
    body = body[body.index(">") + 1 :]
    # A style sheet inside one figure would act on the whole page; the page's own says the same of figures.
    for unwanted in (r"<metadata>.*?</metadata>", r"<!--.*?-->", r"<defs>\s*<style.*?</style>\s*</defs>"):
        body = re.sub(unwanted, "", body, flags=re.S)
    body = body.replace("xlink:href", "href")
    body = re.sub(r'\bid="series-([\w-]+)"', r'class="series series-\1"', body)
    used = set(re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', body))
    names = {a or b for a, b in used}
    body = re.sub(r'\s\bid="([^"]+)"', lambda m: f' id="{name}-{m[1]}"' if m[1] in names else "", body)
    body = re.sub(r'href="#|url\(#', lambda m: f"{m[0]}{name}-", body)
    for colour, variable in _KEYS.items():
        body = body.replace(colour, variable)
    # Text takes the page's font and keeps its size.
    body = re.sub(r"font-family: [^;\"]*;? ?", "", body)
    body = re.sub(r"font: ((?:[\w-]+ )*)([\d.]+px) [^;\"]*", r"font-size: \2", body)
    body = re.sub(r"\s*\n\s*", " ", body).strip()
    role = f'role="img" aria-label="{escape(alt, quote=True)}"' if alt else 'aria-hidden="true"'
    return f'<svg class="{css_class}" {role} viewBox="{box.group(1)}">{body}'


def swatch(name: str, style: Style) -> Markup:
    """The legend's sample of a style: line and marker. ``name`` makes its ids unique on the page."""
    if (opened := book()) is not None:
        return opened.swatch(name, style)
    with mpl.rc_context(settings()):
        figure = Figure(figsize=(0.5, 0.2))
        figure.patch.set_alpha(0.0)
        FigureCanvasSVG(figure)
        axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
        axes.set_axis_off()
        axes.set(xlim=(0, 1), ylim=(0, 1))
        axes.plot([0.05, 0.5, 0.95], [0.5, 0.5, 0.5], markevery=[1], clip_on=False, **line_style(style))
        return _export(figure, name, "", css_class="swatch")


def band_swatch(name: str, colour: str) -> Markup:
    """The legend's sample of a shaded band."""
    if (opened := book()) is not None:
        return opened.swatch(name, colour)
    with mpl.rc_context(settings()):
        figure = Figure(figsize=(0.5, 0.2))
        figure.patch.set_alpha(0.0)
        FigureCanvasSVG(figure)
        axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
        axes.set_axis_off()
        axes.set(xlim=(0, 1), ylim=(0, 1))
        axes.axhspan(0.1, 0.9, color=key(colour), alpha=0.3, linewidth=0)
        return _export(figure, name, "", css_class="swatch")


def line_style(style: Style, *, hollow: bool = False, thin: bool = False) -> dict[str, Any]:
    """Keyword arguments of ``Axes.plot`` for a style. ``hollow`` and ``thin`` say: not to be relied on."""
    return {
        "color": key(style.colour),
        "marker": style.marker or "None",
        "linestyle": (0, style.dash) if style.dash else "-",
        "linewidth": 0.8 if thin else style.width,
        "markersize": 4.0 if thin else 5.5,
        "markerfacecolor": "none" if hollow else key(style.colour),
        "markeredgecolor": key(style.colour),
        "markeredgewidth": 0.9,
    }
