"""The sounds that miniature items are made of: spoken digits by voice, sound events by class, phrases by instrument.

All are mono at :data:`RATE`, trimmed, at one level. The package's own are divided as everywhere: seeds of the generator
below :data:`TRAINED_SEEDS` and all voices but :data:`~otoscope.audio.speech.HELD_VOICES` may be trained on (``train``),
the others are ``test``. Of a manifest, a speaker or a fold can be left out, or be all there is.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from otoscope.audio import generator
from otoscope.audio.corpus import Clip, read_manifest
from otoscope.audio.io import read
from otoscope.audio.mixing import trim
from otoscope.audio.signals import from_db, root_mean_square
from otoscope.audio.speech import HELD_VOICES, bundled_speech
from otoscope.core.errors import InputError

Float = NDArray[np.float32]
Split = Literal["train", "test", "takes"]

RATE = 16_000
LEVEL_DBFS = -25.0
#: Generated sounds that the package's models may be trained on have seeds below.
TRAINED_SEEDS = 1000
#: Seeds per class that a test draws from, and seconds of a generated sound.
TEST_SEEDS, SECONDS = 40, 4.0
#: What recordings are called where the generator has the class under another name.
_SAME = {"fire_crackling": "fire_crackle", "rooster": "rooster"}


@dataclass(frozen=True, eq=False)
class Voice:
    """One speaker: ``digits[d]`` are renditions of the digit ``d``."""

    name: str
    sex: str
    digits: Mapping[int, Sequence[Float]]


@dataclass(frozen=True, eq=False)
class Pool:
    """``events`` and ``phrases`` give a sound of a class from a generator; ``used`` are the recorded clips in it.
    ``seeds`` are those of the generated sounds. ``noise_dbfs``: the white noise under every item, ``-inf`` for none."""

    voices: Sequence[Voice]
    events: Mapping[str, Callable[[np.random.Generator], Float]]
    phrases: Mapping[str, Callable[[np.random.Generator], Float]]
    used: Sequence[Clip] = ()
    seeds: range = range(0)
    noise_dbfs: float = -55.0

    def voice(self, rng: np.random.Generator, sex: str | None = None) -> Voice:
        """A voice at random, of one sex where asked for."""
        found = [v for v in self.voices if sex is None or v.sex == sex]
        if not found:
            raise InputError(f"there is no voice of the sex {sex!r}")
        return found[int(rng.integers(len(found)))]

    def event(self, rng: np.random.Generator, label: str) -> Float:
        return self.events[label](rng)


def read_pool(
    manifest: str | Path | None,
    split: Split,
    *,
    speaker: str | None = None,
    fold: int | None = None,
    takes: int = 0,
    seeds: int | None = None,
) -> Pool:
    """The package's own sounds of ``split`` and the recordings of ``manifest``: spoken digits, and sounds with a
    ``sound`` label. ``speaker``, ``fold`` and the first ``takes`` of every speaker are left out of ``train``; ``test``
    is the left-out speaker and fold, ``takes`` the left-out takes of the other speakers, and no sounds. ``seeds``: how
    many seeds per generated class are drawn from (each is made once and kept)."""
    voices: dict[tuple[str, str], dict[int, list[Float]]] = {}
    sounds: dict[str, list[Float]] = {}
    used = []
    for clip in bundled_speech() if split != "takes" else ():
        if clip.labels["kind"] == "digit" and (clip.labels["speaker"] in HELD_VOICES) == (split == "test"):
            _add_digit(voices, clip)
    for clip in read_manifest(manifest) if manifest is not None else ():
        labels = clip.labels
        if "digit" in labels:
            part: Split = "takes" if labels.get("take", takes) < takes else "train"
            if ("test" if labels.get("speaker") == speaker else part) != split:
                continue
            _add_digit(voices, clip)
        elif "sound" in labels and "fold" in labels:
            if ("test" if labels["fold"] == fold else "train") != split:
                continue
            name = str(labels["sound"])
            sounds.setdefault(_SAME.get(name, name), []).append(_levelled(clip))
        else:
            continue
        used.append(clip)
    start = 0 if split == "train" else TRAINED_SEEDS
    n = seeds or (TRAINED_SEEDS if split == "train" else TEST_SEEDS)
    known = generator.catalogue() if split != "takes" else {"event": (), "phrase": ()}
    events = {
        label: functools.partial(_event, label, range(start, start + n), tuple(sounds.get(label, ())))
        for label in sorted({*known["event"], *sounds})
    }
    phrases = {label: functools.partial(_phrase, label, range(start, start + n)) for label in known["phrase"]}
    listed = [Voice(name, sex, digits) for (name, sex), digits in sorted(voices.items())]
    return Pool(listed, events, phrases, used, range(start, start + n))


def make_all(seeds: int, first: int = 0) -> None:
    """Make the first ``seeds`` sounds of every generated class now, for processes that are forked afterwards."""
    for kind in ("event", "phrase"):
        for label in generator.catalogue()[kind]:
            for seed in range(first, first + seeds):
                generated(kind, label, seed)


def _add_digit(voices: dict[tuple[str, str], dict[int, list[Float]]], clip: Clip) -> None:
    labels = clip.labels
    key = (str(labels["speaker"]), str(labels.get("sex", "male")))  # the digits' speakers are men, as their card says
    voices.setdefault(key, {}).setdefault(int(labels["digit"]), []).append(_levelled(clip))


def _levelled(clip: Clip) -> Float:
    x = trim(read(clip.path, rate=RATE).mono().samples[0].astype(np.float64))
    return levelled(x)


def levelled(x: NDArray[np.floating]) -> Float:
    """At :data:`LEVEL_DBFS`, its peak within full scale."""
    gain = min(from_db(LEVEL_DBFS) / max(root_mean_square(x), 1e-9), 0.9 / max(float(np.max(np.abs(x))), 1e-9))
    return (gain * x).astype(np.float32)


def _event(label: str, seeds: range, recorded: Sequence[Float], rng: np.random.Generator) -> Float:
    """A recording where there is one, half of the time; else a generated sound."""
    if recorded and (label not in generator.catalogue()["event"] or rng.random() < 0.5):
        return recorded[int(rng.integers(len(recorded)))]
    return generated("event", label, int(rng.integers(seeds.start, seeds.stop)))


def _phrase(label: str, seeds: range, rng: np.random.Generator) -> Float:
    return generated("phrase", label, int(rng.integers(seeds.start, seeds.stop)))


@functools.lru_cache(maxsize=8192)
def generated(kind: str, label: str, seed: int) -> Float:
    """A sound of the package's generator, read-only."""
    x = generator.generate(kind, label, seed, RATE, SECONDS).samples[0]
    x.flags.writeable = False
    return x
