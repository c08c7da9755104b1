"""What a family of items gives: the parts of a core, the questions about it, and what may stand around it. Ours.

A maker is a pure function of a counter, a generator and the material. The counter balances answers (which count, yes or
no, real or fake); the builder balances where the right option stands.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from otoscope.core.errors import InputError
from otoscope.core.items import Factor
from otoscope.tasks.audiomarathon.miniature.made import DIGITS
from otoscope.tasks.longaudio.material import Material, Source
from otoscope.tasks.longaudio.timeline import LONGEST_S, Part


@dataclass(frozen=True)
class Question:
    """``right`` among ``wrong`` options, or a ``transcript``. ``name`` tells several questions about one sound apart;
    ``fixed``: the options stand in the order ``(right, *wrong)`` sorted, as for yes and no."""

    text: str
    right: str = ""
    wrong: tuple[str, ...] = ()
    transcript: str | None = None
    name: str = ""
    factors: Mapping[str, Factor] = field(default_factory=dict)
    fixed: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Core:
    """``around`` draws one sound that changes no answer; ``dense``: it goes on without a pause (the same scene, the
    same speaker). ``group`` is what the bootstrap resamples. ``placed``: the first part stands where the item's
    position says, in the core too."""

    parts: Sequence[Part]
    questions: Sequence[Question]
    around: Callable[[np.random.Generator], Part]
    dense: bool = False
    group: str = ""
    placed: bool = False


Maker = Callable[[int, np.random.Generator, Material, float], Core]


@dataclass(frozen=True)
class Family:
    """``lacks`` says what of the material is missing, or None."""

    key: str
    title: str
    options: int
    make: Maker
    lacks: Callable[[Material], str | None]


def pick(rng: np.random.Generator, among: Sequence[Source]) -> Source:
    return among[int(rng.integers(len(among)))]


def some(rng: np.random.Generator, labels: Sequence[str], n: int, but: Sequence[str] = ()) -> list[str]:
    """``n`` different labels in a random order. Raises :class:`InputError` where there are fewer."""
    free = [x for x in sorted(labels) if x not in but]
    if len(free) < n:
        raise InputError(f"needs {n} classes, and {len(free)} are left")
    return [str(x) for x in rng.permutation(free)[:n]]


def words(label: str) -> str:
    """``dog_bark`` as words."""
    return label.replace("_", " ")


def digit(label: str) -> str:
    return DIGITS[int(label)]


def events_but(m: Material, labels: Sequence[str]) -> Callable[[np.random.Generator], Part]:
    """Draws events of other classes; a stretch of a haystack where the material has one."""
    hay = [s for same in m.of("haystack").values() for s in same]
    if hay:
        return lambda rng: Part(pick(rng, hay), change=lambda x: stretch(rng, x, LONGEST_S), whole=True, role="around")
    free = [x for x in sorted(m.of("event")) if x not in labels]
    if not free:
        raise InputError("has no class of events left to stand around the core")
    return lambda rng: Part(pick(rng, m.of("event")[free[int(rng.integers(len(free)))]]), role="around")


def stretch(rng: np.random.Generator, x: np.ndarray, seconds: float) -> np.ndarray:
    """``seconds`` from somewhere in ``x``."""
    from otoscope.tasks.audiomarathon.miniature.pool import RATE

    n = min(len(x), round(seconds * RATE))
    start = int(rng.integers(len(x) - n + 1))
    return x[start : start + n]


def needs(kind: str, n: int, what: str) -> Callable[[Material], str | None]:
    """Says what is missing unless there are ``n`` classes of a kind."""

    def lacks(m: Material) -> str | None:
        found = len(m.of(kind))
        return None if found >= n else f"needs {n} classes of {what}, and there are {found}"

    return lacks


def needs_around(m: Material) -> str | None:
    """Says so where nothing could stand around a core."""
    if m.of("event") or m.of("haystack"):
        return None
    return "needs events, or recordings to hide things in, and there are none"


def needs_voices(n: int) -> Callable[[Material], str | None]:
    """Says so unless ``n`` speakers say all digits."""

    def lacks(m: Material) -> str | None:
        found = len(m.voices())
        return None if found >= n else f"needs {n} speakers who say all ten digits, and there are {found}"

    return lacks


def both(*checks: Callable[[Material], str | None]) -> Callable[[Material], str | None]:
    return lambda m: next((why for check in checks if (why := check(m)) is not None), None)
