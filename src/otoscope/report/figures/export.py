"""A page's figure as a file for a publication: PDF, SVG or PNG, in real colours, with a legend of its own."""

from __future__ import annotations

import math
import textwrap
from pathlib import Path
from typing import Any, Literal

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from otoscope.core.errors import UsageError
from otoscope.report.figures.record import Book
from otoscope.report.figures.style import Style, key, painted
from otoscope.report.figures.svg import line_style, settings
from otoscope.report.section import Panels
from otoscope.results.files import store_errors

Theme = Literal["light", "dark"]
FORMATS = (".pdf", ".svg", ".png")
_THEMES: tuple[Theme, Theme] = ("light", "dark")
#: Panels beside each other, and dots per inch of raster files.
_COLUMNS, DPI = 3, 300
#: Inches of the legend: a line, what stands before a word, a character.
_LINE, _SAMPLE, _CHARACTER = 0.19, 0.6, 0.085


def export(panels: Panels, book: Book, path: str | Path, theme: Theme = "light", dpi: int = DPI) -> Path:
    """Draw ``panels`` (of a page that was made while ``book`` was open) into ``path``; its ending says the format.

    Raises :class:`UsageError` on another ending and :class:`~otoscope.core.errors.StoreError` where it cannot be
    written.
    """
    target = Path(path)
    if target.suffix not in FORMATS:
        what = f"cannot write {target.suffix or 'a file without an ending'}"
        raise UsageError(what, where=str(target), fix=f"End it in {', '.join(FORMATS)}.")
    with painted(_THEMES.index(theme)), mpl.rc_context({**settings(), "pdf.fonttype": 42}), store_errors(target):
        figure = _figure(panels, book)
        # Dates would make equal figures differ.
        told: dict[str, Any] = {".pdf": {"CreationDate": None}, ".svg": {"Date": None}, ".png": {}}
        figure.savefig(target, dpi=dpi, facecolor=key("paper"), metadata=told[target.suffix])
    return target


def _figure(panels: Panels, book: Book) -> Figure:
    drawn = [book.panels[str(name)] for name in panels.panels]
    columns = 1 if panels.wide else min(_COLUMNS, len(drawn))
    rows = math.ceil(len(drawn) / columns)
    width, height = columns * max(d.size[0] for d in drawn), rows * max(d.size[1] for d in drawn)
    room = int((width - _SAMPLE) / _CHARACTER)
    labels = [textwrap.fill(f"{e.label} {e.note}".strip(), room) for e in panels.legend]
    handles = [_handle(book.swatches[str(e.swatch)], label) for e, label in zip(panels.legend, labels, strict=True)]
    longest = max((len(line) for label in labels for line in label.split("\n")), default=1)
    per_row = max(1, min(len(handles), int(width / (_SAMPLE + _CHARACTER * longest))))
    lines = math.ceil(sum(label.count("\n") + 1 for label in labels) / per_row)
    figure = Figure(figsize=(width, height + _LINE * (lines + 1) * bool(lines)), layout="constrained")
    for i, one in enumerate(drawn):
        axes = figure.add_subplot(rows, columns, i + 1)
        one.plot(axes)
        if panels.titles:
            axes.set_title(panels.titles[i])
    if handles:
        figure.legend(handles=handles, loc="outside upper left", ncols=per_row, fontsize=9)
    return figure


def _handle(what: Style | str, label: str) -> Line2D | Patch:
    if isinstance(what, str):
        return Patch(color=key(what), alpha=0.3, linewidth=0, label=label)
    return Line2D([], [], label=label, **line_style(what))
