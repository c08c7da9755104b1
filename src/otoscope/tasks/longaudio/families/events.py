"""Sound events: which occurs, how often, in which order, which first."""

from __future__ import annotations

import itertools

import numpy as np

from otoscope.tasks.longaudio.families.core import Core, Family, Question, events_but, needs, pick, some, words
from otoscope.tasks.longaudio.material import Material
from otoscope.tasks.longaudio.timeline import Part


def presence(k: int, rng: np.random.Generator, m: Material, seconds: float) -> Core:
    """One of four classes occurs, once; none of the others does, at any length."""
    right, *rest = some(rng, list(m.of("event")), 6)
    wrong, others = rest[:3], rest[3:]
    parts = [Part(pick(rng, m.of("event")[x])) for x in [right, *others[: max(0, int(seconds // 6))]]]
    order = rng.permutation(len(parts))
    question = Question("Which of these sounds occurs in the recording?", words(right), tuple(map(words, wrong)))
    return Core([parts[i] for i in order], [question], events_but(m, [right, *wrong]))


def counting(k: int, rng: np.random.Generator, m: Material, seconds: float) -> Core:
    """One class occurs one to five times, in the core alone."""
    n = 1 + k % 5
    label, *others = some(rng, list(m.of("event")), 3)
    parts = [Part(s) for s in _several(rng, m, label, n)] + [Part(pick(rng, m.of("event")[x])) for x in others]
    parts = [parts[i] for i in rng.permutation(len(parts))]
    wrong = tuple(str(x) for x in rng.permutation([c for c in range(1, 7) if c != n])[:3])
    question = Question(f"How often does this sound occur: {words(label)}?", str(n), wrong, factors={"count": n})
    return Core(parts, [question], events_but(m, [label]))


def order(k: int, rng: np.random.Generator, m: Material, seconds: float) -> Core:
    """Three classes, once each: in which order?"""
    labels = some(rng, list(m.of("event")), 3)
    said = [", ".join(map(words, p)) for p in itertools.permutations(labels)]
    wrong = tuple(str(x) for x in rng.permutation(said[1:])[:3])
    text = f"In which order do these sounds occur: {', '.join(map(words, sorted(labels)))}?"
    parts = [Part(pick(rng, m.of("event")[x])) for x in labels]
    return Core(parts, [Question(text, said[0], wrong)], events_but(m, labels))


def first(k: int, rng: np.random.Generator, m: Material, seconds: float) -> Core:
    """Four classes, once each: which came first?"""
    labels = some(rng, list(m.of("event")), 4)
    question = Question("Which of these sounds comes first?", words(labels[0]), tuple(map(words, labels[1:])))
    return Core([Part(pick(rng, m.of("event")[x])) for x in labels], [question], events_but(m, labels))


def _several(rng: np.random.Generator, m: Material, label: str, n: int) -> list:
    """``n`` sounds of a class, different ones as long as there are some."""
    among = m.of("event")[label]
    found = [among[int(i)] for i in rng.permutation(len(among))[:n]]
    return [*found, *(pick(rng, among) for _ in range(n - len(found)))]


EVENTS = (
    Family("presence", "which sound occurs", 4, presence, needs("event", 7, "events")),
    Family("counting", "how often a sound occurs", 4, counting, needs("event", 4, "events")),
    Family("order", "in which order sounds occur", 4, order, needs("event", 4, "events")),
    Family("first", "which sound comes first", 4, first, needs("event", 5, "events")),
)
