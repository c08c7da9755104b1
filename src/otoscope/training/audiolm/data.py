"""Questions and answers about made sounds, for training the tiny audio language model. Ours.

A batch is a pure function of (recipe, step): a length, and as many items of it as fill the batch with windows. An item
is one sound and one to three turns about it: a task of AudioMarathon's miniature with its options turned, or one of the
package's own plain questions (which digit, who speaks, which sound), or, for a share of the batches, a family of the
long-audio builder. What is held out of the pool is never heard.

The answer to a question with lettered options is the text of the right option. A letter alone was tried first: after
1,500 steps of 64 windows every such question was still at chance, for at this size the model does not learn to tie a
letter to what stands beside it, while the words themselves are learned. Every parser reads both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from otoscope.audio.binaural import child
from otoscope.core.errors import InputError
from otoscope.tasks.audiomarathon.kinds import KINDS
from otoscope.tasks.audiomarathon.layout import Entry
from otoscope.tasks.audiomarathon.miniature.made import DIGITS, Made, choose, in_a_row, put, with_noise
from otoscope.tasks.audiomarathon.miniature.pool import RATE, Float, Pool
from otoscope.tasks.audiomarathon.miniature.sounds import spoken_name
from otoscope.tasks.audiomarathon.miniature.writer import MAKERS
from otoscope.tasks.audiomarathon.prompts import text_of, turned, wordings
from otoscope.training.audiolm import longaudio

#: Seconds of one window of the model's encoder.
WINDOW_S = 5.0
Turn = tuple[str, str]
#: Made sounds lie in no file.
_NOWHERE = Path()


@dataclass(frozen=True, eq=False)
class Heard:
    """``sound`` ``[n]`` at 16 kHz; ``turns`` are questions and answers; ``spoken``: the digits, where all are known."""

    sound: Float
    turns: Sequence[Turn]
    spoken: Sequence[int]


def digit(rng: np.random.Generator, pool: Pool, seconds: float) -> Made:
    """One digit somewhere in the sound: which?"""
    voice = pool.voice(rng)
    d = int(rng.choice(sorted(voice.digits)))
    part = voice.digits[d][int(rng.integers(len(voice.digits[d])))]
    out = np.zeros(round(seconds * RATE), np.float32)
    put(out, part, float(rng.uniform(0, max(0.05, seconds - len(part) / RATE))))
    options, gold = choose(rng, DIGITS[d], DIGITS, 4)
    return Made(
        with_noise(rng, out, pool.noise_dbfs), "Which number is said?", options, gold, group=voice.name, spoken=(d,)
    )


def who(rng: np.random.Generator, pool: Pool, seconds: float) -> Made:
    """Which of four voices speaks. Names are learned, so only voices of the training have one."""
    from otoscope.tasks.audiomarathon.miniature.voices import spoken

    voice = pool.voice(rng)
    digits, parts, gaps = spoken(rng, voice, seconds)
    options, gold = choose(rng, voice.name, [v.name for v in pool.voices], 4)
    sound = with_noise(rng, in_a_row(parts, gaps, seconds), pool.noise_dbfs)
    return Made(sound, "Who speaks?", options, gold, group=voice.name, spoken=tuple(digits))


def sound(rng: np.random.Generator, pool: Pool, seconds: float) -> Made:
    """One sound event, cut or repeated to the length: which class?"""
    labels = [str(x) for x in rng.permutation(sorted(pool.events))]
    out = np.zeros(round(seconds * RATE), np.float32)
    part = pool.event(rng, labels[0])
    put(out, part, float(rng.uniform(0, max(0.05, seconds - len(part) / RATE))))
    options, gold = choose(rng, spoken_name(labels[0]), [spoken_name(x) for x in labels[1:]], 4)
    return Made(with_noise(rng, out, pool.noise_dbfs), "Which sound is this?", options, gold, label=labels[0])


def occurs(rng: np.random.Generator, pool: Pool, seconds: float) -> Made:
    """One sound event among spoken digits: which class?"""
    from otoscope.tasks.audiomarathon.miniature.voices import said

    labels = [str(x) for x in rng.permutation(sorted(pool.events))]
    part = pool.event(rng, labels[0])[: round(min(4.0, seconds / 2) * RATE)]
    start = float(rng.uniform(0, seconds - len(part) / RATE))
    out = said(rng, pool.voice(rng), seconds).copy()
    out[round(start * RATE) : round(start * RATE) + len(part)] *= 0.1
    put(out, part, start)
    options, gold = choose(rng, spoken_name(labels[0]), [spoken_name(x) for x in labels[1:]], 4)
    return Made(
        with_noise(rng, out, pool.noise_dbfs), "Which sound occurs besides the voice?", options, gold, label=labels[0]
    )


_TRIES = 20
#: The plain questions, beside the ten tasks.
PLAIN: Mapping[str, Callable[[np.random.Generator, Pool, float], Made]] = {
    "digit": digit,
    "who": who,
    "sound": sound,
    "occurs": occurs,
}
FREELY = "Answer with one word or name."
#: How often each is drawn, of one window and of several.
SHARES = {
    "digit": (3, 0), "who": (2, 1), "sound": (3, 0), "occurs": (0, 3), "asr": (5, 2), "scr": (3, 3), "ser": (1, 2),
    "sed": (2, 4), "mc": (1, 1), "asc": (2, 2), "sd": (1, 1.5), "er": (1, 1), "sar": (1, 1), "sgr": (1, 1),
}  # fmt: skip


def item(rng: np.random.Generator, pool: Pool, name: str, seconds: float) -> Heard:
    """One item of the family ``name``, with what else can be asked about it, over one of many noises, or none. Raises
    :class:`InputError` where nothing that is drawn fits into ``seconds``."""
    pool = replace(pool, noise_dbfs=_noise(rng, pool.noise_dbfs))
    made = _made(rng, pool, name, seconds)
    turns = [_turn(rng, name, made)]
    if made.spoken and name in ("asr", "scr", "ser", "who", "digit"):
        turns += _more(rng, name, made)
    order = rng.permutation(len(turns))
    return Heard(made.sound, [turns[i] for i in order], made.spoken)


def _made(rng: np.random.Generator, pool: Pool, name: str, seconds: float) -> Made:
    maker = PLAIN.get(name) or MAKERS[name]
    for left in reversed(range(_TRIES)):
        try:
            return maker(rng, pool, seconds)
        except InputError:  # a long rendition of a digit: others are drawn
            if not left:
                raise
    raise AssertionError


def _noise(rng: np.random.Generator, usual: float) -> float:
    """What a user's recordings have under them: the benchmark's own noise, another one, or digital silence, which a
    model that never met it takes for another world."""
    kind = rng.random()
    if kind < 0.5:
        return usual
    return float("-inf") if kind < 0.8 else float(rng.uniform(-80, -45))  # -30 dB cost the fakes and the moods


def _turn(rng: np.random.Generator, name: str, made: Made) -> Turn:
    key = name if name in KINDS else "scr"
    entry = Entry(key, "", "", _NOWHERE, made.question, made.options, made.gold, made.transcript)
    wording = wordings("sound")[key]
    if name == "asr":
        return text_of(entry, wording), made.transcript
    if name in PLAIN and rng.random() < 0.5:
        return free(made), made.options[made.gold]
    entry = turned(entry, int(rng.integers(len(entry.options))))
    assert entry.gold is not None
    return text_of(entry, wording), entry.options[entry.gold]


def free(made: Made) -> str:
    """The question to be answered in words, without options."""
    return f"Listen to the recording. {made.question}\n{FREELY}"


def _more(rng: np.random.Generator, name: str, made: Made) -> list[Turn]:
    """The transcript of digits, and where they begin and end, which the families of speech share."""
    words = [DIGITS[d] for d in made.spoken]
    found: list[Turn] = []
    if name != "asr":
        found.append((wordings("sound")["asr"].text, " ".join(words)))
    if name in ("asr", "ser") and len(words) > 1:
        last = bool(rng.integers(2))
        options, gold = choose(rng, words[-1 if last else 0], DIGITS, 4)
        question = f"Which number is said {'last' if last else 'first'}?"
        entry = Entry("scr", "", "", _NOWHERE, question, options, gold)
        found.append((text_of(entry, wordings("sound")["scr"]), options[gold]))
    return found


def batch(pool: Pool, seed: int, step: int, done: float, windows: int, long: float = 0.0) -> list[Heard]:
    """Items of one length whose windows fill the batch. ``done`` is the share of the schedule that is over: sounds of
    several windows join at a fifth of it, and digits grow more before. ``long`` is the share of the later batches that
    hold items of the long-audio builder."""
    rng = child(seed, "tiny-audiolm", step)
    if done >= 0.2 and long and rng.random() < long:
        return _built(rng, pool, windows)
    lengths, weights = ((1,), (1.0,)) if done < 0.2 else ((1, 2, 4, 8, 12), (0.4, 0.25, 0.2, 0.1, 0.05))
    wide = int(rng.choice(lengths, p=weights))
    names = list(SHARES)
    shares = np.array([SHARES[n][0 if wide == 1 else 1] for n in names], dtype=np.float64)
    found = []
    for _ in range(max(1, windows // wide)):
        name = names[int(rng.choice(len(names), p=shares / shares.sum()))]
        longest = wide * WINDOW_S
        shortest = 1.2 if wide == 1 else longest - WINDOW_S + 1.0
        seconds = float(rng.uniform(shortest, longest))
        if done < 0.15 and name not in ("digit", "sound"):
            seconds = min(seconds, 1.2 + 25 * done)  # few digits at first
        found.append(item(rng, pool, name, seconds))
    return found


def _built(rng: np.random.Generator, pool: Pool, windows: int) -> list[Heard]:
    """Items of the long-audio builder, of one length, a family each."""
    wide = int(rng.choice(longaudio.WINDOWS[0], p=longaudio.WINDOWS[1]))
    found = []
    for _ in range(max(1, windows // wide)):
        seconds = float(rng.uniform(max(longaudio.SHORTEST_S, (wide - 1) * WINDOW_S + 2), wide * WINDOW_S))
        keys, shares = longaudio.names(seconds)
        key = keys[int(rng.choice(len(keys), p=shares))]
        core_s = longaudio.core_seconds(rng, key, seconds)
        noise = _noise(rng, pool.noise_dbfs)
        made = longaudio.long_item(rng, pool, key, int(rng.integers(1000)), core_s, seconds, noise)
        found.append(Heard(made.sound, [longaudio.as_turn(e) for e in made.entries], made.spoken))
    return found
