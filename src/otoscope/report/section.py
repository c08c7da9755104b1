"""What a page is made of: sections of blocks. Plain data; the templates decide how each looks.

All text is escaped by the templates. Only figures are :class:`markupsafe.Markup`, and they come from
:mod:`otoscope.report.figures` alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from markupsafe import Markup

#: "good", "warn", "bad", "plain": how a verdict or a state is tinted (never the only sign of it).
Tone = Literal["good", "warn", "bad", "plain"]


@dataclass(frozen=True)
class Prose:
    """A paragraph. ``missing`` says that something was not run; ``caution`` is what a reader must not overlook."""

    text: str
    kind: Literal["text", "note", "missing", "caution"] = "text"
    block: ClassVar[str] = "prose"


@dataclass(frozen=True)
class Bar:
    """A stacked bar of shares (0 to 1) of cells: ``up`` (unmasking) and ``down`` (reversal)."""

    up: float
    down: float
    hollow: bool = False


@dataclass(frozen=True)
class TD:
    """One cell of a table. ``sub`` is a second, smaller line; ``tint`` (-1 to 1) shades the background."""

    text: str
    sub: str = ""
    number: bool = False
    tone: Tone | None = None
    bars: tuple[Bar, ...] = ()
    tint: float | None = None


@dataclass(frozen=True)
class Table:
    """Rows of cells (text is wrapped in :class:`TD`); the first cell of a row is its header."""

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[TD | str]]
    compact: bool = False
    block: ClassVar[str] = "table"


@dataclass(frozen=True)
class Entry:
    """A line of a legend. ``series`` names what it hides in all panels of its figure ("" for nothing)."""

    label: str
    swatch: Markup
    series: str = ""
    note: str = ""
    shown: bool = True


@dataclass(frozen=True)
class Panels:
    """Small figures side by side under one legend. ``titles``, one per panel, are for names too long for a figure.
    ``wide``: one below the other over the page's width."""

    id: str
    panels: Sequence[Markup]
    legend: Sequence[Entry] = ()
    caption: str = ""
    titles: Sequence[str] = ()
    wide: bool = False
    block: ClassVar[str] = "panels"


@dataclass(frozen=True)
class Sound:
    """A player: ``source`` is a ``data:`` address."""

    title: str
    caption: str
    source: str
    seconds: float


@dataclass(frozen=True)
class Players:
    """Sounds in groups: ``(heading, sounds)``."""

    groups: Sequence[tuple[str, Sequence[Sound]]]
    block: ClassVar[str] = "players"


@dataclass(frozen=True)
class Finding:
    """A verdict in plain words, the figures behind it, and what it does not say."""

    model: str
    verdict: str
    tone: Tone
    figure: str
    text: str
    facts: Sequence[tuple[str, str]]
    caveat: str


@dataclass(frozen=True)
class Findings:
    items: Sequence[Finding]
    block: ClassVar[str] = "findings"


@dataclass(frozen=True)
class Facts:
    """Names and values."""

    items: Sequence[tuple[str, str]]
    block: ClassVar[str] = "facts"


@dataclass(frozen=True)
class Fold:
    """Blocks behind a heading that opens them; ``shown`` opens it from the start."""

    summary: str
    blocks: Sequence[Block]
    shown: bool = False
    block: ClassVar[str] = "fold"


@dataclass(frozen=True)
class Columns:
    """Blocks side by side where there is room, each with its own legend and caption."""

    blocks: Sequence[Block]
    block: ClassVar[str] = "columns"


Block = Prose | Table | Panels | Players | Findings | Facts | Fold | Columns


@dataclass(frozen=True)
class Section:
    id: str
    title: str
    blocks: Sequence[Block]
