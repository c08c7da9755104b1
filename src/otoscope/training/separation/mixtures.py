"""Mixtures for training the tiny separator. A batch is a pure function of (seed, step). Ours.

Speech is spoken digits and the package's voices, sounds are recordings and the package's generator. Half of the
mixtures are speech and a sound, the rest two voices or two sounds; some carry noise, some have spans beside or instead
of the text. What is held out (:func:`held_out`) is never trained on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from otoscope.audio import generator, io
from otoscope.audio.corpus import Clip, read_manifest
from otoscope.audio.mixing import Mix, mix, trim
from otoscope.audio.speech import bundled_speech, load_speech
from otoscope.core.errors import InputError
from otoscope.tasks.separation.words import Words, read_words

#: Kept from training: the first takes of every speaker of the digits, a fold of the sounds, four of our voices.
HELD_TAKES, HELD_FOLDS, HELD_VOICES = range(5), (4,), ("f06", "f07", "m06", "m07")
#: Generated sounds that were trained on have seeds below; those held out, and all of the task's, lie above.
TRAINED_SEEDS = 1000

Float = NDArray[np.float64]
Array = NDArray[np.float32]


@dataclass(frozen=True)
class Pool:
    """Sounds at one rate, trimmed. ``voices`` by (sex, speaker), ``sounds`` by what a prompt calls them. A draw picks
    the group first, so that large groups don't crowd out small ones. ``used``: the clips behind them."""

    rate: int
    voices: Mapping[tuple[str, str], Sequence[Float]]
    sounds: Mapping[str, Sequence[Float]]
    words: Words
    used: Sequence[Clip]

    def texts(self) -> list[str]:
        """Every prompt that may be drawn."""
        return sorted({*self.sounds, *(self.words.voice(s) for s in ("female", "male", None))})


@dataclass(frozen=True)
class Batch:
    """``mixture``, ``target``, ``residual`` ``[B, n]``; per item its text ("" for none) and its spans, as (start, end,
    sign) in samples."""

    mixture: Array
    target: Array
    residual: Array
    texts: Sequence[str]
    spans: Sequence[Sequence[tuple[int, int, str]]]


def held_out(clip: Clip) -> bool:
    """Whether a clip is kept from training."""
    labels = clip.labels
    return (
        labels.get("fold") in HELD_FOLDS
        or labels.get("speaker") in HELD_VOICES
        or (clip.corpus == "fsdd" and labels.get("take") in HELD_TAKES)
        or clip.corpus not in ("fsdd", "esc10", "bundled-speech")
    )


def pool(manifest: Path | None, rate: int, *, generated: int = 24, seconds: float = 4.0) -> Pool:
    """What is trained on: recordings of ``manifest`` (None: none), the package's voices, and ``generated`` sounds of
    ``seconds`` per class of the generator."""
    words = read_words()
    voices: dict[tuple[str, str], list[Float]] = {}
    sounds: dict[str, list[Float]] = {}
    used = [c for c in (*(read_manifest(manifest) if manifest else ()), *bundled_speech()) if not held_out(c)]
    for clip in used:
        audio = io.read(clip.path, rate=rate) if clip.corpus != "bundled-speech" else load_speech(clip, rate=rate)
        x = trim(audio.samples.astype(np.float64).mean(axis=0))
        if "sound" in clip.labels:
            sounds.setdefault(words.sound(str(clip.labels["sound"])), []).append(x)
        else:
            key = (str(clip.labels.get("sex", "male")), str(clip.labels["speaker"]))
            voices.setdefault(key, []).append(x)
    for label in generator.catalogue()["event"]:
        for seed in range(generated):
            x = generator.generate("event", label, seed, rate, seconds).samples[0].astype(np.float64)
            sounds.setdefault(words.sound(label), []).append(trim(x))
    return Pool(rate, voices, sounds, words, used)


def batch(found: Pool, seed: int, step: int, size: int, seconds: float) -> Batch:
    """``size`` mixtures of ``seconds``."""
    rng = np.random.default_rng((seed, step))
    drawn = [_item(found, rng, seconds) for _ in range(size)]
    stems = {name: np.stack([d[0][name] for d in drawn]) for name in ("mixture", "target", "residual")}
    return Batch(stems["mixture"], stems["target"], stems["residual"], [d[1] for d in drawn], [d[2] for d in drawn])


def _item(found: Pool, rng: np.random.Generator, seconds: float) -> tuple[dict[str, Array], str, list]:
    while True:  # a stretch of recorded silence has no level: draw another
        try:
            return _try(found, rng, seconds)
        except InputError:
            continue


def _try(found: Pool, rng: np.random.Generator, seconds: float) -> tuple[dict[str, Array], str, list]:
    overlap = 1.0 if rng.random() < 0.6 else float(rng.uniform(0.2, 1.0))
    noise_snr = float(rng.uniform(3.0, 10.0)) if rng.random() < 0.15 else None
    level = float(rng.uniform(-31.0, -19.0))
    spec = Mix(seconds, float(rng.uniform(-5, 5)), overlap, bool(rng.integers(2)), level, noise_snr)
    (target, text), (other, _) = _pair(found, rng, round(spec.slot_s * found.rate))
    noise = rng.standard_normal(round(seconds * found.rate)) if noise_snr is not None else None
    stems = mix(spec, target, other, found.rate, noise)
    spans: list[tuple[int, int, str]] = []
    if overlap < 1.0 and rng.random() < 0.6:
        start, end = (round(t * found.rate) for t in spec.target_slot)
        spans.append((start, end, "+"))
        text = text if rng.random() < 0.5 else ""
    return stems, text, spans


def _pair(found: Pool, rng: np.random.Generator, n: int) -> list[tuple[Float, str]]:
    """Two sounds of ``n`` samples and what a prompt calls them, in random order."""
    kind = rng.random()
    if kind < 0.2:
        pair = [(_voice(found, rng, n, sex), found.words.voice(sex)) for sex in ("female", "male")]
    elif kind < 0.4:
        names = sorted(found.sounds)
        a, b = rng.choice(len(names), 2, replace=False)
        pair = [(_sound(found.sounds[names[i]], rng, n), names[i]) for i in (a, b)]
    else:
        sex = ("female", "male")[int(rng.random() < 0.6)]
        name = sorted(found.sounds)[int(rng.integers(len(found.sounds)))]
        called = found.words.voice(sex if rng.random() < 0.25 else None)
        pair = [(_voice(found, rng, n, sex), called), (_sound(found.sounds[name], rng, n), name)]
    return pair if rng.integers(2) else pair[::-1]


def _voice(found: Pool, rng: np.random.Generator, n: int, sex: str) -> Float:
    speakers = sorted(key for key in found.voices if key[0] == sex)
    own = found.voices[speakers[int(rng.integers(len(speakers)))]]
    parts, length = [], 0
    while length < n:
        parts.append(own[int(rng.integers(len(own)))])
        length += len(parts[-1])
    return np.concatenate(parts)[:n]


def _sound(own: Sequence[Float], rng: np.random.Generator, n: int) -> Float:
    x = own[int(rng.integers(len(own)))]
    start = int(rng.integers(max(1, len(x) - n + 1)))
    return x[start : start + n]
