"""Scenes, genres, instruments and pitch. A scene and a genre go on at every length; a phrase and a pair of notes are
heard once, among sounds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from otoscope.core.errors import InputError
from otoscope.tasks.longaudio.families.core import (
    Core,
    Family,
    Question,
    both,
    events_but,
    needs,
    needs_around,
    pick,
    some,
    stretch,
    words,
)
from otoscope.tasks.longaudio.material import Material, Source
from otoscope.tasks.longaudio.timeline import LONGEST_S, Part

_PITCH = ("The second note is higher", "The second note is lower")


def scene(k: int, rng: np.random.Generator, m: Material, seconds: float) -> Core:
    return _going_on("scene", "In which place was this recorded?", rng, m, seconds)


def genre(k: int, rng: np.random.Generator, m: Material, seconds: float) -> Core:
    return _going_on("genre", "Which genre is this music?", rng, m, seconds)


def _going_on(kind: str, text: str, rng: np.random.Generator, m: Material, seconds: float) -> Core:
    right, *wrong = some(rng, list(m.of(kind)), 4)
    among = m.of(kind)[right]

    def draw(r: np.random.Generator) -> Part:
        seed = int(r.integers(2**31))
        cut = lambda x: stretch(np.random.default_rng(seed), x, LONGEST_S)  # noqa: E731
        return Part(pick(r, among), whole=True, change=cut, role=kind)

    parts = [draw(rng) for _ in range(max(1, int(seconds / (LONGEST_S + 0.5))))]
    question = Question(text, words(right), tuple(map(words, wrong)))
    return Core(parts, [question], draw, dense=True)


def instrument(k: int, rng: np.random.Generator, m: Material, seconds: float) -> Core:
    """One instrument plays a phrase."""
    right, *wrong = some(rng, list(m.of("phrase")), 4)
    question = Question("Which instrument plays?", words(right), tuple(map(words, wrong)))
    part = Part(pick(rng, m.of("phrase")[right]), role="phrase")
    return Core([part], [question], events_but(m, _musical(m)))


def pitch(k: int, rng: np.random.Generator, m: Material, seconds: float) -> Core:
    """Two notes of one instrument: is the second higher or lower?"""
    pairs = [(a, b) for _, same in sorted(m.of("note").items()) for a, b in _pairs(same)]
    if not pairs:
        raise InputError("has no two notes of one instrument that differ")
    low, high = pairs[int(rng.integers(len(pairs)))]
    lower = k % 2 == 1
    a, b = (high, low) if lower else (low, high)
    steps = abs(int(high.about["midi"]) - int(low.about["midi"]))
    question = Question(
        "Two notes are played. Is the second one higher or lower than the first?", _PITCH[lower], (_PITCH[not lower],),
        fixed=_PITCH, factors={"semitones": steps},
    )  # fmt: skip
    parts = [Part(s, seconds=1.0, role="note") for s in (a, b)]
    return Core(parts, [question], events_but(m, _musical(m)))


def _musical(m: Material) -> list[str]:
    """Events that could be taken for an instrument."""
    return [x for x in m.of("event") if x in m.of("phrase") or x in m.of("note") or "bell" in x or "music" in x]


def _pairs(notes: Sequence[Source]) -> list[tuple[Source, Source]]:
    ordered = sorted(notes, key=lambda s: (int(s.about["midi"]), s.id))
    return [
        (a, b) for i, a in enumerate(ordered) for b in ordered[i + 1 :] if int(b.about["midi"]) > int(a.about["midi"])
    ]


def _lacks_notes(m: Material) -> str | None:
    if any(_pairs(same) for same in m.of("note").values()):
        return None
    return "needs two notes of one instrument with different midi numbers"


MUSIC = (
    Family("scene", "the place", 4, scene, needs("scene", 4, "scenes")),
    Family("genre", "the genre", 4, genre, needs("genre", 4, "genres")),
    Family(
        "instrument", "which instrument plays", 4, instrument, both(needs("phrase", 4, "instruments"), needs_around)
    ),
    Family("pitch", "which of two notes is higher", 2, pitch, both(_lacks_notes, needs_around)),
)
