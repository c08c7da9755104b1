"""Mixtures for training the tiny separator. A batch is a pure function of (seed, step). Ours.

Speech is spoken digits and the package's voices, sounds are recordings and the package's generator. Three
quarters of the mixtures are speech and a sound, the rest two voices or two sounds; some carry noise, some have spans
beside or instead of the text. What is held out (:func:`held_out`) is never trained on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otoscope.audio import generator, io
from otoscope.audio.corpus import Clip, read_manifest
from otoscope.audio.mixing import Mix, mix, trim
from otoscope.audio.speech import HELD_VOICES, bundled_speech, load_speech
from otoscope.core.errors import InputError
from otoscope.tasks.separation.words import Words, read_words

#: Kept from training: the first takes of every speaker of the digits, a fold of the sounds, four of our voices.
HELD_TAKES, HELD_FOLDS = range(5), (4,)
#: The generator's seeds from here on are kept from training.
HELD_SEEDS = 1000
#: Where sounds come from.
CORPORA = ("fsdd", "esc10", "bundled-speech")

RECORDED, GENERATED = "recorded", "generated"
Float = NDArray[np.float64]
Array = NDArray[np.float32]


@dataclass(frozen=True)
class Pool:
    """Sounds at one rate, trimmed. ``voices`` by (origin, sex, speaker), ``sounds`` by (origin, what a prompt calls
    them); the origin is recorded or generated. A draw picks the group first, so that large groups don't crowd out small
    ones. ``used``: the clips behind them."""

    rate: int
    voices: Mapping[tuple[str, str, str], Sequence[Float]]
    sounds: Mapping[tuple[str, str], Sequence[Float]]
    words: Words
    used: Sequence[Clip]

    def texts(self) -> list[str]:
        """Every prompt that may be drawn."""
        return sorted({*(name for _, name in self.sounds), *(self.words.voice(s) for s in ("female", "male", None))})


@dataclass(frozen=True)
class Draws:
    """How mixtures are drawn. ``recorded``: how often a sound is a recording, where there are any; ``speed``: half of
    the sounds are played up to this share faster or slower; ``colour_db``: where above 0, every other sound is coloured
    by a smooth random gain of this deviation, and half are turned upside down."""

    recorded: float = 0.65
    speed: float = 0.1
    colour_db: float = 0.0


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
    )


def pool(manifest: Path | None, rate: int, *, generated: int = 24, seconds: float = 4.0, held: bool = False) -> Pool:
    """What is trained on: recordings of ``manifest`` (None: none), the package's voices, and ``generated`` sounds of
    ``seconds`` per class of the generator. ``held``: what is held out of that instead, from the same sources."""
    words = read_words()
    voices: dict[tuple[str, str, str], list[Float]] = {}
    sounds: dict[tuple[str, str], list[Float]] = {}
    listed = (*(read_manifest(manifest) if manifest else ()), *bundled_speech())
    used = [c for c in listed if c.corpus in CORPORA and held_out(c) == held]
    for clip in used:
        audio = io.read(clip.path, rate=rate) if clip.corpus != "bundled-speech" else load_speech(clip, rate=rate)
        x = trim(audio.samples.astype(np.float64).mean(axis=0))
        if "sound" in clip.labels:
            sounds.setdefault((RECORDED, words.sound(str(clip.labels["sound"]))), []).append(x)
        else:
            origin = GENERATED if clip.corpus == "bundled-speech" else RECORDED
            key = (origin, str(clip.labels.get("sex", "male")), str(clip.labels["speaker"]))
            voices.setdefault(key, []).append(x)
    first = HELD_SEEDS if held else 0
    for label in generator.catalogue()["event"]:
        for seed in range(first, first + generated):
            x = generator.generate("event", label, seed, rate, seconds).samples[0].astype(np.float64)
            sounds.setdefault((GENERATED, words.sound(label)), []).append(trim(x))
    return Pool(rate, voices, sounds, words, used)


def batch(found: Pool, seed: int, step: int, size: int, seconds: float, draws: Draws = Draws()) -> Batch:
    """``size`` mixtures of ``seconds``."""
    rng = np.random.default_rng((seed, step))
    drawn = [_item(found, draws, rng, seconds) for _ in range(size)]
    stems = {name: np.stack([d[0][name] for d in drawn]) for name in ("mixture", "target", "residual")}
    return Batch(stems["mixture"], stems["target"], stems["residual"], [d[1] for d in drawn], [d[2] for d in drawn])


def _item(found: Pool, draws: Draws, rng: np.random.Generator, seconds: float) -> tuple[dict[str, Array], str, list]:
    while True:  # a stretch of recorded silence has no level: draw another
        try:
            return _try(found, draws, rng, seconds)
        except InputError:
            continue


def _try(found: Pool, draws: Draws, rng: np.random.Generator, seconds: float) -> tuple[dict[str, Array], str, list]:
    spec = draw_mix(rng, seconds, noisy=0.15)
    (target, text), (other, _) = _pair(found, draws, rng, round(spec.slot_s * found.rate))
    noise = rng.standard_normal(round(seconds * found.rate)) if spec.noise_snr_db is not None else None
    stems = mix(spec, target, other, found.rate, noise)
    spans: list[tuple[int, int, str]] = []
    if spec.overlap < 1.0 and rng.random() < 0.6:
        start, end = (round(t * found.rate) for t in spec.target_slot)
        spans.append((start, end, "+"))
        text = text if rng.random() < 0.5 else ""
    return stems, text, spans


def draw_mix(rng: np.random.Generator, seconds: float, noisy: float = 0.0) -> Mix:
    """Overlap, order, levels and, in a share ``noisy``, noise."""
    overlap = 1.0 if rng.random() < 0.6 else float(rng.uniform(0.2, 1.0))
    noise_snr = float(rng.uniform(3.0, 10.0)) if rng.random() < noisy else None
    level = float(rng.uniform(-31.0, -19.0))
    return Mix(seconds, float(rng.uniform(-5, 5)), overlap, bool(rng.integers(2)), level, noise_snr)


def _pair(found: Pool, draws: Draws, rng: np.random.Generator, n: int) -> list[tuple[Float, str]]:
    """Two sounds of ``n`` samples and what a prompt calls them, in random order."""
    kind = rng.random()
    if kind < 0.12:
        pair = [_voice(found, draws, rng, n, sex) for sex in ("female", "male")]
    elif kind < 0.24:
        pair = [_sound(found, draws, rng, n)]
        pair.append(_sound(found, draws, rng, n, apart=pair[0][1]))
    else:
        pair = [_voice(found, draws, rng, n, None), _sound(found, draws, rng, n)]
    return pair if rng.integers(2) else pair[::-1]


def _of_origin(keys: Iterable[tuple[str, ...]], draws: Draws, rng: np.random.Generator) -> list[Any]:
    """The sorted keys of one origin."""
    by = {origin: sorted(k for k in keys if k[0] == origin) for origin in (RECORDED, GENERATED)}
    recorded = rng.random() < draws.recorded
    return by[RECORDED] if by[RECORDED] and (recorded or not by[GENERATED]) else by[GENERATED]


def _voice(found: Pool, draws: Draws, rng: np.random.Generator, n: int, sex: str | None) -> tuple[Float, str]:
    """Utterances of one speaker; ``sex`` None: anyone, who is mostly just called a speaker."""
    speakers = _of_origin([k for k in found.voices if sex in (None, k[1])], draws, rng)
    speaker = speakers[int(rng.integers(len(speakers)))]
    own, parts, length = found.voices[speaker], [], 0
    while length < n:
        parts.append(own[int(rng.integers(len(own)))])
        length += int((1 - draws.speed) * len(parts[-1]))  # it may be played faster
    called = speaker[1] if sex is not None or rng.random() < 0.2 else None
    return np.concatenate([_varied(part, draws, rng) for part in parts])[:n], found.words.voice(called)


def _sound(found: Pool, draws: Draws, rng: np.random.Generator, n: int, apart: str = "") -> tuple[Float, str]:
    """A stretch of a sound that is not called ``apart``."""
    keys = _of_origin([k for k in found.sounds if k[1] != apart], draws, rng)
    key = keys[int(rng.integers(len(keys)))]
    own = found.sounds[key]
    x = _varied(own[int(rng.integers(len(own)))], draws, rng)
    start = int(rng.integers(max(1, len(x) - n + 1)))
    return x[start : start + n], key[1]


def _varied(x: Float, draws: Draws, rng: np.random.Generator) -> Float:
    """A sound as if it were another of its kind."""
    if rng.random() >= 0.5:
        speed = float(rng.uniform(1 - draws.speed, 1 + draws.speed))
        x = np.interp(np.arange(0.0, len(x) - 1, speed), np.arange(len(x)), x)
    if draws.colour_db > 0 and rng.random() < 0.5:
        x = _coloured(x, draws.colour_db, rng)
    return -x if draws.colour_db > 0 and rng.random() < 0.5 else x


def _coloured(x: Float, deviation_db: float, rng: np.random.Generator) -> Float:
    """``x`` with a gain that is drawn at eight frequencies, from low to high, and interpolated between."""
    spectrum = np.fft.rfft(x)
    at = np.linspace(0.0, 1.0, len(spectrum)) ** 0.5  # finer at the bottom
    gain_db = np.interp(at, np.linspace(0.0, 1.0, 8), rng.normal(0.0, deviation_db, 8))
    return np.fft.irfft(spectrum * 10 ** (gain_db / 20), len(x))
