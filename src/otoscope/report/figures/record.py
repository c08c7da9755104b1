"""Figures as they would be drawn, not drawn: while a book is open, panels and legends are written into it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from markupsafe import Markup
from matplotlib.axes import Axes

from otoscope.report.figures.style import Style


@dataclass(frozen=True)
class Drawn:
    """One panel: ``plot`` draws it into axes; ``size`` in inches; ``alt`` is what it shows in words."""

    alt: str
    plot: Callable[[Axes], None]
    size: tuple[float, float]


@dataclass
class Book:
    """Panels by name, and what legends show by name: a style, or the colour of a band."""

    panels: dict[str, Drawn] = field(default_factory=dict)
    swatches: dict[str, Style | str] = field(default_factory=dict)

    def panel(self, name: str, drawn: Drawn) -> Markup:
        """Write a panel down; the page gets its name instead."""
        self.panels[name] = drawn
        return Markup.escape(name)

    def swatch(self, name: str, what: Style | str) -> Markup:
        """Write a line of a legend down."""
        self.swatches[name] = what
        return Markup.escape(name)


_OPEN: ContextVar[Book | None] = ContextVar("book", default=None)


def book() -> Book | None:
    """The book that is open, if any."""
    return _OPEN.get()


@contextmanager
def recording() -> Iterator[Book]:
    """Open a new book; what is drawn inside goes there."""
    token = _OPEN.set(Book())
    try:
        found = _OPEN.get()
        assert found is not None
        yield found
    finally:
        _OPEN.reset(token)
