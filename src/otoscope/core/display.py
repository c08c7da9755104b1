"""How an object shows itself: described once, drawn as HTML in a notebook and as a table in a terminal.

A class that inherits from :class:`Displayed` says what there is to see in :meth:`Displayed.shown`; ``repr`` stays one
line (of results, the table itself). Nothing is loaded, read from a network or computed at length for a display.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

#: Rows of a table that are drawn; the rest is counted.
MOST_ROWS = 60


@dataclass(frozen=True)
class Shown:
    """What a display consists of. ``facts`` are lines of name and value, those without a value left out; ``rows`` under
    ``header`` are a table; ``note`` is a sentence below it; ``media`` is a ``data:`` address of a sound to play."""

    title: str
    facts: Mapping[str, Any] | None = None
    header: Sequence[str] = ()
    rows: Sequence[Sequence[Any]] = ()
    note: str = ""
    media: str | None = None

    def lines(self) -> list[tuple[str, str]]:
        """The facts as text, one line per element of a list."""
        found = []
        for key, value in (self.facts or {}).items():
            if value in (None, "", [], {}, (), frozenset()):
                continue
            parts = value if isinstance(value, list) else [value]
            found += [(key if i == 0 else "", word(part)) for i, part in enumerate(parts)]
        return found

    def below(self) -> str:
        """The note, and how many rows are not drawn."""
        more = len(self.rows) - MOST_ROWS
        return " ".join(p for p in (f"{more} more rows." if more > 0 else "", self.note) if p)

    def html(self) -> str:
        """One ``<div>``, everything escaped, without a style of its own."""
        parts = [f"<div><p><strong>{escape(self.title)}</strong></p>"]
        if self.media is not None:
            parts.append(f'<audio controls preload="none" src="{escape(self.media)}"></audio>')
        if lines := self.lines():
            cells = "".join(
                f'<tr><th style="text-align:left">{escape(k)}</th><td style="text-align:left">{escape(v)}</td></tr>'
                for k, v in lines
            )
            parts.append(f"<table>{cells}</table>")
        if self.header:
            head = "".join(f"<th>{escape(h)}</th>" for h in self.header)
            body = "".join(
                "<tr>" + "".join(f"<td>{escape(word(c))}</td>" for c in row) + "</tr>" for row in self.rows[:MOST_ROWS]
            )
            parts.append(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>")
        if note := self.below():
            parts.append(f"<p>{escape(note)}</p>")
        return "".join(parts) + "</div>"

    def rich(self) -> Any:
        """A renderable of ``rich``."""
        from rich.console import Group
        from rich.markup import escape as escape_markup
        from rich.table import Table
        from rich.text import Text

        parts: list[Any] = [Text(self.title, style="bold")]
        if lines := self.lines():
            facts = Table.grid(padding=(0, 2))
            for key, value in lines:
                facts.add_row(Text(key, style="dim"), Text(value))
            parts.append(facts)
        if self.header:
            table = Table(*map(escape_markup, self.header))
            for row in self.rows[:MOST_ROWS]:
                table.add_row(*(Text(word(c)) for c in row))
            parts.append(table)
        if note := self.below():
            parts.append(Text(note))
        return Group(*parts)

    def text(self, width: int = 120) -> str:
        """Plain text, as a terminal of ``width`` columns shows it."""
        from rich.console import Console

        out = io.StringIO()
        Console(file=out, width=width, color_system=None, force_terminal=False).print(self.rich())
        return out.getvalue().rstrip("\n")


class Displayed:
    """An object that shows itself in a notebook and under ``rich``."""

    def shown(self) -> Shown:
        """What there is to see."""
        raise NotImplementedError

    def _repr_html_(self) -> str:
        return self.shown().html()

    def __rich__(self) -> Any:
        return self.shown().rich()


def word(value: Any) -> str:
    """A value as a table shows it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, frozenset | set):
        return ", ".join(sorted(map(str, value)))
    if isinstance(value, tuple | list):
        return ", ".join(map(word, value))
    if isinstance(value, Mapping):
        return ", ".join(f"{k}={word(v)}" for k, v in value.items())
    return str(value)
