"""One look for every figure and page: colours by role, a marker and a dash beside every colour.

Figures are drawn once and must read in light and dark, so they hold no colours: matplotlib draws with *keys* (colours
that stand for a name), and :mod:`otoscope.report.figures.svg` replaces each key by a CSS variable. The palette is after
Okabe and Ito, shifted until every colour has a contrast of 3:1 or more on its background.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

#: name -> (light, dark). The page declares these as CSS variables ``--<name>``.
COLOURS: dict[str, tuple[str, str]] = {
    "paper": ("#ffffff", "#14171c"),
    "raised": ("#f5f6f8", "#1d2229"),
    "ink": ("#1b1f24", "#e8eaed"),
    "soft": ("#59636e", "#a3adb8"),
    "line": ("#d0d5db", "#3a424c"),
    "link": ("#0b5cad", "#7cb8f5"),
    "c1": ("#0067a8", "#5ab4ec"),
    "c2": ("#c44e00", "#ff9150"),
    "c3": ("#00795a", "#36c9a0"),
    "c4": ("#9a3f86", "#e296d1"),
    "c5": ("#8a6a00", "#e3c04a"),
    "c6": ("#4b57b8", "#a5aefb"),
    "c7": ("#7a4a2e", "#d3a98a"),
    "c8": ("#a8324a", "#f58ba0"),
    "band": ("#9aa4af", "#77828e"),
    "good": ("#00795a", "#36c9a0"),
    "warn": ("#8a6a00", "#e3c04a"),
    "bad": ("#a8324a", "#f58ba0"),
}

_THEME: ContextVar[int | None] = ContextVar("theme", default=None)
SUBJECT_COLOURS = ("c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p")

Dash = tuple[float, ...]
SOLID: Dash = ()


@dataclass(frozen=True)
class Style:
    """How one series looks: a colour name of :data:`COLOURS`, a matplotlib marker ("" for none), dashes in points."""

    colour: str
    marker: str = ""
    dash: Dash = SOLID
    width: float = 1.8


#: What is not a subject looks the same on every page.
ROLES: dict[str, Style] = {
    "phase-blind": Style("ink", "", (5.0, 2.5), 1.4),
    "reference": Style("soft", "h", (1.5, 1.5), 1.4),
    "twin": Style("band", "", SOLID, 1.0),
    "phase-using": Style("ink", "", SOLID, 1.6),
    "human": Style("c2", "*", SOLID, 1.8),
    "human-narrow": Style("c2", "*", (2.0, 1.5), 1.2),
    "ec-durlach": Style("c6", "D", SOLID, 1.8),
    "ec-chen2026": Style("c6", "d", (5.0, 2.5), 1.4),
    "observer": Style("soft", "x", (1.0, 2.0), 1.4),
}

#: Dashes of the second, third, ... eight subjects that share a colour, and of references.
_ROUNDS: tuple[Dash, ...] = (SOLID, (6.0, 2.0), (2.0, 1.5), (6.0, 1.5, 1.5, 1.5))


def key(name: str) -> str:
    """The colour that matplotlib draws for ``name``: recognisable, and no colour that anything else uses. Inside
    :func:`painted` the colour itself."""
    theme = _THEME.get()
    return f"#fe{list(COLOURS).index(name):02x}a7" if theme is None else COLOURS[name][theme]


@contextmanager
def painted(theme: int) -> Iterator[None]:
    """Draw in real colours inside: of the light (0) or the dark (1) theme."""
    token = _THEME.set(theme)
    try:
        yield
    finally:
        _THEME.reset(token)


def subject_styles(models: Iterable[str]) -> dict[str, Style]:
    """A style per subject, in order: eight colours with a marker each, then the same again with other dashes."""
    n = len(SUBJECT_COLOURS)
    return {
        m: Style(SUBJECT_COLOURS[i % n], _MARKERS[i % n], _ROUNDS[i // n % len(_ROUNDS)]) for i, m in enumerate(models)
    }


def reference_styles(models: Sequence[str]) -> dict[str, Style]:
    """Styles of references that have no fixed one: grey, told apart by marker and dash."""
    base = ROLES["reference"]
    dashes = ((1.5, 1.5), (6.0, 2.0), (6.0, 1.5, 1.5, 1.5), (3.0, 1.5))
    markers = ("h", "d", "<", ">", "8", "H")
    return {
        m: Style(base.colour, markers[i % len(markers)], dashes[i % len(dashes)], base.width)
        for i, m in enumerate(models)
    }


def css_variables(theme: int) -> str:
    """``--name:value;`` for every colour; ``theme`` 0 is light, 1 is dark."""
    return "".join(f"--{name}:{pair[theme]};" for name, pair in COLOURS.items())
