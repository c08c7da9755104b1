"""The figures of a run's page by name, to be drawn by themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from otoscope.core.errors import UsageError
from otoscope.core.registry import suggestions
from otoscope.report.figures.export import DPI, Theme, export
from otoscope.report.figures.record import Book, recording
from otoscope.report.page import sections_of
from otoscope.report.run import Run
from otoscope.report.section import Block, Columns, Fold, Panels

#: What readers call a figure -> how names of such figures begin.
_CALLED = {"pareto": ("front", "saving")}


@dataclass(frozen=True)
class Figures:
    """``known``: by name, the section that a figure stands in and the figure."""

    run: str
    known: Mapping[str, tuple[str, Panels]]
    book: Book

    def write(self, name: str, path: str | Path, theme: Theme = "light", dpi: int = DPI) -> Path:
        """One figure as a file. Raises :class:`UsageError` where there is none of the name, naming near ones."""
        return export(self.known[self.find(name)][1], self.book, path, theme, dpi)

    def find(self, name: str) -> str:
        """The full name of a figure: itself, the only one that begins so, or what readers call it."""
        if name in self.known:
            return name
        begins = [n for n in self.known if n.startswith(_CALLED.get(name, (name,)))]
        if len(begins) == 1 or (begins and name in _CALLED):
            return begins[0]
        near = begins or suggestions(name, list(self.known))
        what = f"has {len(begins)} figures that begin with {name!r}" if begins else f"has no figure {name!r}"
        has = ", ".join(near or self.known) or "none"
        raise UsageError(f"the page of {self.run} {what}", fix=f"It has: {has}.")


def figures_of(run: Run) -> Figures:
    """Every figure of a run's page."""
    with recording() as book:
        sections = sections_of(run)
    known = {p.id: (s.title, p) for s in sections for p in _panels(s.blocks)}
    return Figures(run.name, known, book)


def _panels(blocks: Sequence[Block]) -> Iterator[Panels]:
    for block in blocks:
        if isinstance(block, Panels):
            if block.panels:
                yield block
        elif isinstance(block, Fold | Columns):
            yield from _panels(block.blocks)
