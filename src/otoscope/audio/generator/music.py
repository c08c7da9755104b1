"""Music: single notes and short phrases of every instrument, with the score as a label. Ours.

A phrase is a melody on one scale: it starts and ends on the tonic and moves mostly by step. Its score depends only on
the parameters and the length asked for, so tempo, scale, key and every note are known without listening.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from otoscope.audio.generator import drums, dsp
from otoscope.audio.generator.instruments import INSTRUMENTS, Instrument
from otoscope.audio.generator.recipe import RENDER, Among, Array, Between, Parameter, Params, Recipe, Whole

SCALES = {
    "blues": (0, 3, 5, 6, 7, 10),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "pentatonic": (0, 2, 4, 7, 9),
}
#: Note lengths in beats that a melody chooses from, by density.
_RHYTHMS = {"calm": (1.0, 1.0, 2.0), "even": (0.5, 1.0, 1.0), "lively": (0.5, 0.5, 1.0)}
_STEPS = np.array([-2, -1, -1, 1, 1, 2, 0, 3, -3])


@dataclass(frozen=True)
class Note:
    """One note of a score. ``midi`` is None for drums, whose ``piece`` is named."""

    start_s: float
    duration_s: float
    strength: float
    midi: int | None = None
    piece: str | None = None


def score(recipe: Recipe, p: Params, seed: int, duration_s: float) -> tuple[Note, ...]:
    """The notes of the phrase that ``recipe`` renders from ``p`` and ``seed``."""
    rng = recipe.generator(seed, RENDER).spawn(1)[0]
    if recipe.label == "drum_kit":
        return beats(p, duration_s, rng)
    return melody(INSTRUMENTS[recipe.label], p, duration_s, rng)


def frequency(midi: float) -> float:
    """Hz of a MIDI number in equal temperament, A4 = 69 = 440 Hz."""
    return float(440.0 * 2 ** ((midi - 69) / 12))


def melody(instrument: Instrument, p: Params, duration_s: float, rng: np.random.Generator) -> tuple[Note, ...]:
    """The score of a phrase that fills ``duration_s``; ``rng`` is the phrase's own stream."""
    scale = SCALES[p["scale"]]
    beat = 60.0 / p["tempo_bpm"]
    tonic = p["tonic"]

    def pitch(degree: int) -> int:
        octave, step = divmod(degree, len(scale))
        return int(tonic + 12 * octave + scale[step])

    spans = [float(rng.choice(_RHYTHMS[p["rhythm"]]))]
    while duration_s - sum(spans) * beat > 0.5 * beat:
        spans.append(float(rng.choice(_RHYTHMS[p["rhythm"]])))
    degree, at, notes = 0, 0.0, []
    for k, span in enumerate(spans):
        if k == len(spans) - 1:
            degree = len(scale) * round(degree / len(scale))
        elif k:
            moved = degree + int(rng.choice(_STEPS))
            degree = moved if instrument.low <= pitch(moved) <= instrument.high else degree
        if not instrument.low <= pitch(degree) <= instrument.high:
            degree = 0
        strength = (0.95 if at % 2 == 0 else 0.75) * rng.uniform(0.9, 1.0)
        # The last note takes what is left, be it a little more or less than its span.
        length = duration_s - at * beat if k == len(spans) - 1 else span * beat
        notes.append(Note(at * beat, length, strength, midi=pitch(degree)))
        at += span
    return tuple(notes)


def beats(p: Params, duration_s: float, rng: np.random.Generator) -> tuple[Note, ...]:
    """The score of a drum phrase in 4/4; every fourth bar ends in a fill where ``fills`` says so."""
    sixteenth = 60.0 / p["tempo_bpm"] / 4
    notes: list[Note] = []
    for number in range(int(duration_s / (16 * sixteenth)) + 1):
        for step, piece, strength in drums.bar(p["style"], p["fills"] == "yes" and number % 4 == 3, rng):
            at = (16 * number + step) * sixteenth
            if at < duration_s - 0.02:
                notes.append(Note(at, sixteenth, strength, piece=piece))
    return tuple(notes)


def _note(instrument: Instrument) -> Callable[[Params, int, np.random.Generator], Array]:
    def render(p: Params, n: int, rng: np.random.Generator) -> Array:
        out = np.zeros(n)
        start = min(dsp.seconds(0.02), n // 8)
        length = min(n - start, dsp.seconds(p["length_s"]))
        tuned = frequency(p["midi"] + p["detune_cents"] / 100)
        dsp.place(out, instrument.play(p, tuned, length, p["strength"], rng), start)
        return out

    return render


def _phrase(instrument: Instrument) -> Callable[[Params, int, np.random.Generator], Array]:
    def render(p: Params, n: int, rng: np.random.Generator) -> Array:
        out = np.zeros(n)
        for note in melody(instrument, p, n / dsp.RATE, rng.spawn(1)[0]):
            start = dsp.seconds(note.start_s + abs(rng.normal(0, 0.004)))
            tuned = frequency((note.midi or 0) + p["detune_cents"] / 100)
            sound = dsp.seconds(note.duration_s * p["legato"])
            dsp.place(out, instrument.play(p, tuned, sound, note.strength, rng), start)
        return out

    return render


def _drum_note(p: Params, n: int, rng: np.random.Generator) -> Array:
    out = np.zeros(n)
    for start in dsp.onsets(n, p["gap_s"], 0.02, rng, 0.02):
        dsp.place(out, drums.strike(p, p["piece"], rng.uniform(0.85, 1), rng), start)
    return out


def _drum_phrase(p: Params, n: int, rng: np.random.Generator) -> Array:
    out = np.zeros(n)
    for note in beats(p, n / dsp.RATE, rng.spawn(1)[0]):
        stroke = drums.strike(p, note.piece or "kick", note.strength, rng)
        dsp.place(out, stroke, dsp.seconds(note.start_s + abs(rng.normal(0, 0.003))))
    return out


_DETUNE = Between(-8, 8)


def _note_recipe(i: Instrument) -> Recipe:
    parameters: dict[str, Parameter] = {
        **i.character,
        "midi": Whole(i.low, i.high),
        "detune_cents": _DETUNE,
        "strength": Between(0.5, 1.0),
        "length_s": Between(1.0, 4.0),
    }
    return Recipe("note", i.label, i.summary, parameters, _note(i))


def _phrase_recipe(i: Instrument) -> Recipe:
    parameters: dict[str, Parameter] = {
        **i.character,
        "tonic": Whole(i.low, i.low + 12),
        "scale": Among(tuple(sorted(SCALES))),
        "tempo_bpm": Between(70, 150),
        "rhythm": Among(tuple(sorted(_RHYTHMS))),
        "legato": Between(0.75, 0.98),
        "detune_cents": _DETUNE,
    }
    return Recipe("phrase", i.label, i.summary, parameters, _phrase(i))


_KIT = "drum kit of kick, snare, hat and tom"
NOTES: dict[str, Recipe] = {label: _note_recipe(i) for label, i in sorted(INSTRUMENTS.items())}
NOTES["drum_kit"] = Recipe(
    "note",
    "drum_kit",
    _KIT,
    {**drums.CHARACTER, "piece": Among(drums.PIECES), "gap_s": Between(0.4, 0.8)},
    _drum_note,
)
PHRASES: dict[str, Recipe] = {label: _phrase_recipe(i) for label, i in sorted(INSTRUMENTS.items())}
PHRASES["drum_kit"] = Recipe(
    "phrase",
    "drum_kit",
    _KIT,
    {
        **drums.CHARACTER,
        "tempo_bpm": Between(70, 150),
        "style": Among(drums.STYLES),
        "fills": Among(("no", "yes")),
    },
    _drum_phrase,
)
