"""Makers of items of sound and music: an event that occurs, a scene, a style.

Stand-ins, ours: a *scene* is a pair of sounds that go on and come again (:data:`PALETTES`), a *genre* is one or two
instruments of the generator (:data:`STYLES`). The names are the published classes; the sounds are not the places or the
music that people call so.
"""

from __future__ import annotations

import numpy as np

from otoscope.tasks.audiomarathon.kinds import GENRES, SCENES
from otoscope.tasks.audiomarathon.miniature.made import Made, choose, looped, put, with_noise
from otoscope.tasks.audiomarathon.miniature.pool import RATE, Float, Pool, levelled

#: By scene: what goes on throughout, and what comes again and again.
PALETTES = {
    "airport": ("vacuum_cleaner", "alarm_beep"),
    "bus": ("engine", "knock"),
    "metro": ("engine", "alarm_beep"),
    "metro_station": ("vacuum_cleaner", "footsteps"),
    "park": ("wind", "bird_chirp"),
    "public_square": ("rain", "church_bell"),
    "shopping_mall": ("footsteps", "alarm_beep"),
    "street_pedestrian": ("footsteps", "dog_bark"),
    "street_traffic": ("engine", "siren"),
    "tram": ("clock_tick", "church_bell"),
}
#: By genre: what leads, and what goes along (softer).
STYLES: dict[str, tuple[str, str | None]] = {
    "blues": ("clarinet", "bass"),
    "classical": ("bowed_string", None),
    "country": ("plucked_string", None),
    "disco": ("bass", "drum_kit"),
    "hiphop": ("drum_kit", None),
    "jazz": ("brass", "bass"),
    "metal": ("organ", "drum_kit"),
    "pop": ("glockenspiel", "drum_kit"),
    "reggae": ("marimba", "bass"),
    "rock": ("organ", "bass"),
}
_SOFT = 0.5


def sed(rng: np.random.Generator, pool: Pool, seconds: float) -> Made:
    """Which of four sounds occurs; others, which are not among the options, occur too."""
    labels = [str(x) for x in rng.permutation(sorted(pool.events))]
    right, wrong = labels[0], labels[1:4]
    others = labels[4 : 4 + max(0, round(seconds / 6))]
    present = [str(x) for x in rng.permutation([right, *others])]
    out = np.zeros(round(seconds * RATE), np.float32)
    slot = seconds / len(present)
    for i, label in enumerate(present):
        sound = pool.event(rng, label)
        most = max(0.0, slot - len(sound) / RATE)
        put(out, sound[: round(max(slot, 1.0) * RATE)], i * slot + float(rng.uniform(0, most)) if most else i * slot)
    options, gold = choose(rng, spoken_name(right), [spoken_name(w) for w in wrong], 4)
    extra = {"all_events": sorted(present), "correct_event": right}
    return Made(
        with_noise(rng, out, pool.noise_dbfs + 5),
        "Which of these sounds occurs in the recording?",
        options,
        gold,
        label=right,
        group=f"{right}-{int(rng.integers(2**31))}",
        extra=extra,
    )


def asc(rng: np.random.Generator, pool: Pool, seconds: float) -> Made:
    """The scene, from what is heard in it."""
    label = SCENES[int(rng.integers(len(SCENES)))]
    steady, again = PALETTES[label]
    n = round(seconds * RATE)
    out = (_SOFT * looped(pool.event(rng, steady), n)).astype(np.float32)
    at = float(rng.uniform(0, 1.0))
    while at < seconds - 0.5:
        sound = pool.event(rng, again)
        put(out, sound[: 3 * RATE], at)
        at += float(rng.uniform(2.0, 5.0))
    options, gold = choose(rng, _display(label), [_display(s) for s in SCENES], 4)
    question = "In which place was this recorded?"
    group = f"{label}-{int(rng.integers(2**31))}"
    return Made(
        with_noise(rng, out, pool.noise_dbfs),
        question,
        options,
        gold,
        label=label,
        group=group,
        extra={"scene_label": label},
    )


def mc(rng: np.random.Generator, pool: Pool, seconds: float) -> Made:
    """The genre of the music."""
    label = GENRES[int(rng.integers(len(GENRES)))]
    lead, along = STYLES[label]
    sound = _played(rng, pool, lead, seconds)
    if along is not None:
        sound = sound + _SOFT * _played(rng, pool, along, seconds)
    options, gold = choose(rng, _display(label), [_display(g) for g in GENRES], 4)
    question = "Which genre is this music?"
    group = f"{label}-{int(rng.integers(2**31))}"
    return Made(
        with_noise(rng, levelled(sound), pool.noise_dbfs),
        question,
        options,
        gold,
        label=label,
        group=group,
        extra={"genre_label": label},
    )


def _played(rng: np.random.Generator, pool: Pool, instrument: str, seconds: float) -> Float:
    out = np.zeros(round(seconds * RATE), np.float32)
    at = 0.0
    while at < seconds:
        phrase = pool.phrases[instrument](rng)
        put(out, phrase, at)
        at += len(phrase) / RATE
    return out


def spoken_name(label: str) -> str:
    """``dog_bark`` as words."""
    return label.replace("_", " ")


def _display(label: str) -> str:
    """``Metro Station - metro_station``: the published form of such options."""
    return f"{spoken_name(label).title()} - {label}"
