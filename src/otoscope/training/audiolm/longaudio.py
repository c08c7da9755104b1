"""Items of the long-audio builder for training the tiny audio language model, from the pool's own material. Ours.

Families, layout and rendering are the builder's (:mod:`otoscope.tasks.longaudio`), the prompts those of its tasks. The
sources are what is in the pool and nothing else, so a speaker, a fold, takes, voices and seeds that are held out of it
are never heard here either: recorded and generated events as the pool draws them, the digits of its voices, the
sentences of those voices that are the package's, and notes, phrases, scenes and pieces from the pool's seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from otoscope.audio.binaural import child
from otoscope.core.errors import InputError
from otoscope.tasks.audiomarathon.layout import Entry
from otoscope.tasks.audiomarathon.miniature.pool import LEVEL_DBFS, RATE, Float, Pool
from otoscope.tasks.audiomarathon.prompts import text_of, wordings
from otoscope.tasks.longaudio.builder import Plan, as_asked, laid_out
from otoscope.tasks.longaudio.families import FAMILIES, Core, Question
from otoscope.tasks.longaudio.material import Material, Source
from otoscope.tasks.longaudio.own import generated_sources, spoken_sources
from otoscope.tasks.longaudio.timeline import Acoustics, Placed, render

#: Events of a class that are drawn from the pool.
DRAWS = 40
#: No core is shorter or longer (s); a chain alternates up to five sounds and numbers.
SHORTEST_S, LONGEST_S = 8.0, 30.0
_SHORTEST = {"hops": 12.0}
#: Windows of a batch's items, and how often.
WINDOWS = ((2, 3, 5, 7, 12), (0.25, 0.25, 0.25, 0.2, 0.05))
#: How often a family is drawn; one where not said.
SHARES = {"hops": 2.0}
#: Of a chain, one of these is asked: the text or the answer of one gives away another's.
_ONE_OF = ("two", "three", "sound-after")
_TRIES = 20
_MOST_SNR_DB = 90.0


@dataclass(frozen=True, eq=False)
class LongItem:
    """``sound`` ``[n]`` at 16 kHz, its questions as entries (the right option anywhere), and the ``spoken`` digits in
    order, where digits are all that is said."""

    sound: Float
    entries: Sequence[Entry]
    spoken: Sequence[int]


@lru_cache(maxsize=4)
def material(pool: Pool) -> Material:
    """What the builder finds in ``pool``."""
    found = [s for s in generated_sources(pool.seeds.start) if s.kind != "event"]
    for label in sorted(pool.events):
        for k in range(DRAWS):
            name = f"event:{label}#{k}"
            found.append(Source(name, "event", label, name, partial(_drawn, pool, label, k)))
    for voice in pool.voices:
        about = {"speaker": voice.name, "sex": voice.sex}
        for d, parts in sorted(voice.digits.items()):
            for k, part in enumerate(parts):
                name = f"digit:{voice.name}/{d}#{k}"
                found.append(Source(name, "digit", str(d), voice.name, partial(_same, part), about))
    names = {v.name for v in pool.voices}
    return Material([*found, *(s for s in spoken_sources(names) if s.kind == "sentence")])


def _drawn(pool: Pool, label: str, k: int) -> Float:
    return pool.event(child(0, "longaudio-source", label, k), label)


def _same(part: Float) -> Float:
    return part


def names(seconds: float) -> tuple[list[str], list[float]]:
    """The families whose core fits into ``seconds``, and their shares of the draws."""
    found = [key for key in FAMILIES if _SHORTEST.get(key, SHORTEST_S) <= seconds]
    shares = [SHARES.get(key, 1.0) for key in found]
    return found, [s / sum(shares) for s in shares]


def core_seconds(rng: np.random.Generator, key: str, seconds: float) -> float:
    """How long the core of an item of ``seconds`` is: the whole item as often as any part of it."""
    shortest = _SHORTEST.get(key, SHORTEST_S)
    longest = min(seconds, LONGEST_S)
    return longest if rng.random() < 0.3 else float(rng.uniform(shortest, longest))


def long_item(
    rng: np.random.Generator,
    pool: Pool,
    key: str,
    k: int,
    core_s: float,
    seconds: float,
    noise_dbfs: float,
    *,
    apart: bool = True,
) -> LongItem:
    """Item ``k`` of the family ``key``: a core of ``core_s`` anywhere in ``seconds``. ``apart``: only questions that
    give none of each other's answers away. Raises :class:`InputError` where the core is too short for what is drawn,
    time after time."""
    acoustics = Acoustics(snr_db=min(_MOST_SNR_DB, LEVEL_DBFS - noise_dbfs))  # there is a noise, if one below hearing
    lengths = (core_s, seconds) if seconds > core_s else (seconds,)
    plan = replace(Plan(), lengths_s=lengths, acoustics=acoustics)
    for left in reversed(range(_TRIES)):
        try:
            core, placed, _ = laid_out(plan, material(pool), key, k, rng, float(rng.uniform()))
            break
        except InputError:  # long digits: others are drawn
            if not left:
                raise
    sound = render(rng, placed, round(seconds * RATE), acoustics, k)
    entries = [_entry(rng, key, q) for q in (_questions(rng, core) if apart else core.questions)]
    return LongItem(sound, entries, _spoken(placed))


def _questions(rng: np.random.Generator, core: Core) -> list[Question]:
    apart = [q for q in core.questions if q.name in _ONE_OF]
    kept = [q for q in core.questions if q.name not in _ONE_OF]
    if apart:
        kept.append(apart[int(rng.integers(len(apart)))])
    return [kept[int(i)] for i in rng.permutation(len(kept))]


def _entry(rng: np.random.Generator, key: str, q: Question) -> Entry:
    asked = as_asked(q, int(rng.integers(max(1, FAMILIES[key].options))))
    options, answer = tuple(asked["options"]), asked["answer"]
    gold, transcript = (options.index(answer), None) if options else (None, answer)
    return Entry(key, q.name, "", Path(), asked["question"], options, gold, transcript, factors=q.factors)


def as_turn(entry: Entry) -> tuple[str, str]:
    """Prompt and answer: as the family's task puts it, in the words of the right option."""
    text = text_of(entry, wordings("sound")["asr" if entry.gold is None else "scr"])
    if entry.gold is None:
        assert entry.transcript is not None
        return text, entry.transcript
    return text, entry.options[entry.gold]


def _spoken(placed: Sequence[Placed]) -> tuple[int, ...]:
    said = sorted((p for p in placed if p.part.source.kind in ("digit", "sentence")), key=lambda p: p.start)
    if any(p.part.source.kind == "sentence" for p in said):
        return ()
    return tuple(int(p.part.source.label) for p in said)
