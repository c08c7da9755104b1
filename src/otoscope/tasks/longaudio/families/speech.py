"""Speech: what is said, which number, which name, who and how many speak, and whether a part of it is made.

A half-truth *splice* is a stretch whose phases are set to zero frame by frame (a buzz), as in the miniature: it can be
heard and is not what a cloned voice sounds like. Around a core of speech stands no other speech, but for the splice,
whose speaker goes on: otherwise length would change what is asked.
"""

from __future__ import annotations

import numpy as np

from otoscope.core.errors import InputError
from otoscope.tasks.audiomarathon.miniature.pool import RATE, Float
from otoscope.tasks.audiomarathon.miniature.voices import buzzed
from otoscope.tasks.longaudio.families.core import (
    Core,
    Family,
    Question,
    both,
    digit,
    events_but,
    needs_around,
    needs_voices,
    pick,
    some,
)
from otoscope.tasks.longaudio.material import Material, Source
from otoscope.tasks.longaudio.timeline import Part

_ALL = tuple(str(d) for d in range(10))
_CHANGE = ("It is one speaker throughout", "The speaker changes")
_REAL = ("Real", "Fake")


def transcription(k: int, rng: np.random.Generator, m: Material, seconds: float) -> Core:
    """Sentences, or digits where there are none and every other time."""
    sentences, voices = m.speakers("sentence"), m.voices()
    if sentences and (k % 2 or not voices):
        name = sorted(sentences)[int(rng.integers(len(sentences)))]
        among = [sentences[name][int(i)] for i in rng.permutation(len(sentences[name]))]
        chosen = _fitting(among, seconds)
        words = " ".join(str(s.about["transcript"]) for s in chosen)
    else:
        name = sorted(voices)[int(rng.integers(len(voices)))]
        chosen = _fitting([_said(rng, voices[name]) for _ in range(max(3, round(seconds)))], seconds)
        words = " ".join(digit(s.label) for s in chosen)
    parts = [Part(s, whole=True, role="speech") for s in chosen]
    question = Question("Write down the words that are spoken, and nothing else.", transcript=words)
    return Core(parts, [question], events_but(m, ()), group=name)


def recall(k: int, rng: np.random.Generator, m: Material, seconds: float) -> Core:
    """A number of four digits; the other options differ in one or two of them."""
    voices = m.voices()
    name = sorted(voices)[int(rng.integers(len(voices)))]
    right = [str(d) for d in rng.integers(0, 10, 4)]
    wrong: list[str] = []
    while len(wrong) < 3:
        other = list(right)
        for i in rng.permutation(4)[: 1 + len(wrong) % 2]:
            other[int(i)] = str((int(other[int(i)]) + int(rng.integers(1, 10))) % 10)
        if " ".join(other) not in [*wrong, " ".join(right)]:
            wrong.append(" ".join(other))
    parts = [Part(pick(rng, voices[name][d]), whole=True, role="digit") for d in right]
    question = Question("Which number is read out, digit by digit?", " ".join(right), tuple(wrong))
    return Core(parts, [question], events_but(m, ()), group=name)


def entity(k: int, rng: np.random.Generator, m: Material, seconds: float) -> Core:
    """Which of four things or names is mentioned?"""
    by = m.speakers("sentence")
    name = sorted(by)[int(rng.integers(len(by)))]
    among = [by[name][int(i)] for i in rng.permutation(len(by[name]))]
    chosen = _fitting(among, min(seconds, 12.0))
    spoken = " ".join(str(s.about["transcript"]) for s in chosen).casefold()
    named = [a for s in chosen if (a := _answer(s)) is not None]
    if not named:
        named = [a for s in among if (a := _answer(s)) is not None][:1]
        chosen = [next(s for s in among if _answer(s) is not None)]
        spoken = str(chosen[0].about["transcript"]).casefold()
    everything = {a for same in by.values() for s in same if (a := _answer(s)) is not None}
    free = sorted(a for a in everything if a.casefold() not in spoken)
    if len(free) < 3:
        raise InputError("has too few sentences with an answer for three wrong ones")
    wrong = tuple(str(x) for x in rng.permutation(free)[:3])
    question = Question("Which of these is mentioned in the recording?", named[int(rng.integers(len(named)))], wrong)
    return Core([Part(s, whole=True, role="speech") for s in chosen], [question], events_but(m, ()), group=name)


def speakers(k: int, rng: np.random.Generator, m: Material, seconds: float) -> Core:
    """How many people say numbers: one to four (as many as there are)."""
    voices = m.voices()
    n = 1 + k % min(4, len(voices))
    names = some(rng, list(voices), n)
    turns = [names[int(i)] for i in rng.permutation(n)] + [names[int(rng.integers(n))] for _ in range(4)]
    parts = [Part(_said(rng, voices[x]), whole=True, role="digit") for x in turns]
    wrong = tuple(str(x) for x in range(1, 5) if x != n)
    question = Question("How many different people speak?", str(n), wrong, factors={"count": n})
    return Core(parts, [question], events_but(m, ()))


def change(k: int, rng: np.random.Generator, m: Material, seconds: float) -> Core:
    """One speaker throughout, or another one from somewhere on."""
    voices = m.voices()
    a, b = some(rng, list(voices), 2)
    changes = k % 2 == 1
    at = int(rng.integers(2, 5)) if changes else 6
    parts = [Part(_said(rng, voices[a if i < at else b]), whole=True, role="digit") for i in range(6)]
    question = Question(
        "Is it one speaker throughout, or does the speaker change?", _CHANGE[changes], (_CHANGE[not changes],),
        fixed=_CHANGE,
    )  # fmt: skip
    return Core(parts, [question], events_but(m, ()))


def splice(k: int, rng: np.random.Generator, m: Material, seconds: float) -> Core:
    """Real throughout, or with one stretch that is made. The speaker goes on around the core."""
    voices = m.voices()
    name = sorted(voices)[int(rng.integers(len(voices)))]
    fake = k % 2 == 1
    n = max(4, int(seconds / 1.5))
    made = set(range(n // 2, n // 2 + max(1, n // 4))) if fake else set()
    parts = []
    for i in range(n):
        how, role = (buzzed, "made") if i in made else (None, "speech")
        parts.append(Part(_said(rng, voices[name]), whole=True, change=how, role=role))
    question = Question(
        "Is this speech real throughout, or is a part of it fake?", _REAL[fake], (_REAL[not fake],), fixed=_REAL
    )
    return Core(
        parts, [question], lambda r: Part(_said(r, voices[name]), whole=True, role="around"), dense=True, group=name
    )


def _said(rng: np.random.Generator, voice: dict[str, list[Source]]) -> Source:
    return pick(rng, voice[_ALL[int(rng.integers(10))]])


def _fitting(among: list[Source], seconds: float) -> list[Source]:
    """As many as fit into three quarters of ``seconds``, one at least."""
    chosen: list[Source] = []
    left = 0.75 * seconds * RATE
    for s in among:
        n = len(_sound(s)) + 0.2 * RATE
        if not chosen or n <= left:
            chosen.append(s)
            left -= n
    return chosen


def _sound(s: Source) -> Float:
    return s.load()


def _answer(s: Source) -> str | None:
    """An entity that the sentence really names."""
    answer = s.about.get("answer")
    if not isinstance(answer, str) or answer.casefold() not in str(s.about["transcript"]).casefold():
        return None
    return answer


def _lacks_sentences(m: Material) -> str | None:
    if not m.speakers("sentence") and not m.voices():
        return "needs sentences with a transcript, or speakers who say all ten digits"
    return None


def _lacks_answers(m: Material) -> str | None:
    n = len({a for same in m.of("sentence").values() for s in same if (a := _answer(s)) is not None})
    return None if n >= 8 else f"needs sentences that name 8 different answers, and there are {n}"


SPEECH = (
    Family("transcription", "what is said", 0, transcription, both(_lacks_sentences, needs_around)),
    Family("recall", "a number of four digits", 4, recall, both(needs_voices(1), needs_around)),
    Family("entity", "what is mentioned", 4, entity, both(_lacks_answers, needs_around)),
    Family("speakers", "how many speak", 4, speakers, both(needs_voices(2), needs_around)),
    Family("change", "whether the speaker changes", 2, change, both(needs_voices(2), needs_around)),
    Family("splice", "whether a part is fake", 2, splice, needs_voices(1)),
)
