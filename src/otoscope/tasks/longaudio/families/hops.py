"""A needle at a controlled position, and chains of one to three hops with every hop asked alone too.

The core of a chain alternates sounds and spoken digits. One sound comes two or three times, the others and all digits
once, so "the number after the second dog bark" takes finding the second bark (a hop) and what follows it (a hop), and
the sound after that number a third. Alone: how often the bark occurs, the number after a sound that comes once, the
sound after a number. All of a chain's questions are about one sound, so they can be compared item by item.
"""

from __future__ import annotations

import numpy as np

from otoscope.tasks.longaudio.families.core import (
    Core,
    Family,
    Question,
    both,
    digit,
    events_but,
    needs,
    needs_around,
    needs_voices,
    pick,
    some,
    words,
)
from otoscope.tasks.longaudio.material import Material
from otoscope.tasks.longaudio.timeline import Part

_ALL = tuple(str(d) for d in range(10))


def needle(k: int, rng: np.random.Generator, m: Material, seconds: float) -> Core:
    """One spoken digit, at the position that the builder sets."""
    voices = m.voices()
    name = sorted(voices)[int(rng.integers(len(voices)))]
    right, *wrong = some(rng, _ALL, 4)
    question = Question("Which number is said?", digit(right), tuple(map(digit, wrong)))
    said = Part(pick(rng, voices[name][right]), whole=True, role="needle")
    return Core([said], [question], events_but(m, ()), group=name, placed=True)


def chain(k: int, rng: np.random.Generator, m: Material, seconds: float) -> Core:
    """Sounds and digits in turn: ``X a Y b X c Z d`` and its like."""
    voices = m.voices()
    name = sorted(voices)[int(rng.integers(len(voices)))]
    twice, *once = some(rng, list(m.of("event")), 3)
    # The second X is never the last sound: something must follow the number after it.
    sounds = [[twice, once[0], twice, once[1]], [once[0], twice, twice, once[1]], [twice, twice, once[0], once[1]]][
        k % 3
    ]
    times = 2 + (k // 3) % 2
    if times == 3:
        sounds.append(twice)
    digits = some(rng, _ALL, len(sounds))
    second = [i for i, x in enumerate(sounds) if x == twice][1]
    single = sounds.index(once[0])
    parts = []
    for sound, d in zip(sounds, digits, strict=True):
        parts.append(Part(pick(rng, m.of("event")[sound]), seconds=min(1.5, seconds / 12)))
        parts.append(Part(pick(rng, voices[name][d]), whole=True, role="digit"))
    number_wrong = lambda i: tuple(digit(d) for d in digits if d != digits[i])[:3]  # noqa: E731
    labels = [twice, *once, *some(rng, list(m.of("event")), 1, but=[twice, *once])]
    sound_wrong = lambda right: tuple(words(x) for x in labels if x != right)  # noqa: E731
    x, after = words(twice), sounds[second + 1]
    counts = tuple(str(n) for n in range(1, 5) if n != times)
    questions = [
        _asked("count", 1, f"How often does this sound occur: {x}?", str(times), counts),
        _asked(
            "number-after", 1, f"Which number is said right after this sound: {words(sounds[single])}?",
            digit(digits[single]), number_wrong(single),
        ),
        _asked(
            "sound-after", 1, f"Which sound comes right after the number {digit(digits[second])}?", words(after),
            sound_wrong(after),
        ),
        _asked(
            "two", 2, f"Which number is said right after the second time that this sound occurs: {x}?",
            digit(digits[second]), number_wrong(second),
        ),
        _asked(
            "three", 3,
            f"A number is said right after the second time that this sound occurs: {x}. Which sound comes next?",
            words(after), sound_wrong(after),
        ),
    ]  # fmt: skip
    return Core(parts, questions, events_but(m, labels), group=name)


def _asked(name: str, hops: int, text: str, right: str, wrong: tuple[str, ...]) -> Question:
    return Question(text, right, wrong, name=name, factors={"hops": hops, "hop": name})


HOPS = (
    Family("needle", "a number among sounds", 4, needle, both(needs_around, needs_voices(1))),
    Family("hops", "chains of one to three hops", 4, chain, both(needs("event", 5, "events"), needs_voices(1))),
)
