"""The package's own sources: its voices, and its generator's events, notes and phrases.

``package`` is only what nothing of the package is trained on: the held voices, and seeds from ``TRAINED_SEEDS`` on.
Training takes other voices and seeds from the same makers. A scene is a pair
of events and a genre one or two instruments, as in AudioMarathon's miniature.
"""

from __future__ import annotations

import functools
from collections.abc import Collection

import numpy as np

from otoscope.audio import generator
from otoscope.audio.speech import HELD_VOICES, bundled_speech
from otoscope.tasks.audiomarathon.miniature.made import looped, put
from otoscope.tasks.audiomarathon.miniature.pool import RATE, TRAINED_SEEDS, Float, generated, levelled
from otoscope.tasks.audiomarathon.miniature.sounds import PALETTES, STYLES
from otoscope.tasks.longaudio.material import Source, _clip

#: Sounds per class, notes per instrument; seconds of a scene and of a piece; seconds of a note.
PER_CLASS, NOTES, LONG, LONG_S, NOTE_S = 12, 6, 4, 8.0, 1.2


def own_sources() -> list[Source]:
    """All of them, in a fixed order."""
    return [*spoken_sources(HELD_VOICES), *generated_sources(TRAINED_SEEDS)]


def spoken_sources(voices: Collection[str]) -> list[Source]:
    """Digits and sentences of some of the package's voices."""
    found: list[Source] = []
    for clip in bundled_speech():
        labels = clip.labels
        if labels["speaker"] not in voices:
            continue
        about = {k: labels.get(k) for k in ("speaker", "sex", "transcript", "answer")}
        if labels["kind"] == "digit":
            found.append(_clip(clip, "digit", str(labels["digit"]), about))
        else:
            found.append(_clip(clip, "sentence", "", about))
    return found


def generated_sources(first: int) -> list[Source]:
    """What the generator makes from the seed ``first`` on: :data:`PER_CLASS` events and phrases, :data:`NOTES` notes,
    and :data:`LONG` scenes and pieces of every class."""
    found: list[Source] = []
    known = generator.catalogue()
    for kind in ("event", "phrase"):
        for label in known[kind]:
            for seed in range(first, first + PER_CLASS):
                load = functools.partial(generated, kind, label, seed)
                found.append(_made(kind, label, seed, load))
    for label in known["note"]:
        for seed in range(first, first + NOTES):
            drawn = generator.parameters("note", label, seed)
            if "midi" in drawn:
                found.append(
                    _made("note", label, seed, functools.partial(_note, label, seed), {"midi": int(drawn["midi"])})
                )
    for kind, names in (("scene", PALETTES), ("genre", STYLES)):
        for label in names:
            for seed in range(first, first + LONG):
                found.append(_made(kind, label, seed, functools.partial(_LONG[kind], label, seed)))
    return found


def _made(kind: str, label: str, seed: int, load: object, about: dict[str, object] | None = None) -> Source:
    name = f"{kind}:package/{label}#{seed}"
    return Source(name, kind, label, name, load, about or {}, f"generator {generator.VERSION}")  # type: ignore[arg-type]


@functools.lru_cache(maxsize=512)
def _note(label: str, seed: int) -> Float:
    return levelled(generator.generate("note", label, seed, RATE, NOTE_S).samples[0])


@functools.lru_cache(maxsize=256)
def _scene(label: str, seed: int) -> Float:
    steady, again = PALETTES[label]
    out = (0.5 * looped(generated("event", steady, seed), round(LONG_S * RATE))).astype(np.float32)
    rng = np.random.default_rng([seed, len(label)])
    at = float(rng.uniform(0, 1))
    while at < LONG_S - 1:
        put(out, generated("event", again, seed)[: 3 * RATE], at)
        at += float(rng.uniform(2.5, 4))
    return levelled(out)


@functools.lru_cache(maxsize=256)
def _piece(label: str, seed: int) -> Float:
    lead, along = STYLES[label]
    out = looped(generated("phrase", lead, seed), round(LONG_S * RATE)).astype(np.float32)
    if along is not None:
        out = out + 0.5 * looped(generated("phrase", along, seed), len(out))
    return levelled(out)


_LONG = {"scene": _scene, "genre": _piece}
