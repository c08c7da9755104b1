"""The sounds that mixtures are made of: voices and sound events, from the package or from a data set."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from otoscope.audio import generator, io
from otoscope.audio.corpus import Clip
from otoscope.audio.layouts import Listed, opened, read_layout
from otoscope.audio.layouts.manifest import listed
from otoscope.audio.mixing import trim
from otoscope.audio.resample import resample
from otoscope.audio.speech import HELD_VOICES, bundled_speech, speech_panel
from otoscope.core.errors import InputError
from otoscope.core.identity import digest

Float = NDArray[np.float64]
#: Generated sounds that the package's models may be trained on have seeds below.
TRAINED_SEEDS = 1000
#: The split of the package's voices whose pairs share no voice, and the parts of its own sounds.
PANEL = "panel"
OWN_SPLITS = ("train", "test", PANEL)


class Source(Protocol):
    """One sound of a mixture. ``group`` is what a split keeps whole; ``describe`` is plain JSON."""

    @property
    def group(self) -> str: ...

    def render(self, rate: int, duration_s: float) -> Float:
        """Mono ``[n]`` at ``rate``; it need not be ``duration_s`` long."""
        ...

    def describe(self) -> Any: ...


@dataclass(frozen=True)
class Recorded:
    """Clips of one speaker or recording, one after the other, each from its first to its last sound."""

    clips: tuple[Clip, ...]
    group: str

    def render(self, rate: int, duration_s: float) -> Float:
        return np.concatenate([_mono(c.path, c.sha256, rate) for c in self.clips])

    def describe(self) -> Any:
        return {"clips": [c.sha256 for c in self.clips]}


@functools.lru_cache(maxsize=64)
def _mono(path: Path, sha256: str, rate: int) -> Float:
    """The mean of a clip's channels without the silence at its ends; read-only."""
    x = resample(io.read(path), rate).mono().samples[0].astype(np.float64)
    try:
        x = trim(x)
    except InputError as e:
        raise InputError("is silent", where=str(path)) from e
    x.flags.writeable = False
    return x


@dataclass(frozen=True)
class Event:
    """A sound event of the package's generator."""

    label: str
    seed: int

    @property
    def group(self) -> str:
        return f"event:{self.label}:{self.seed}"

    def render(self, rate: int, duration_s: float) -> Float:
        return generator.generate("event", self.label, self.seed, rate, duration_s).samples[0].astype(np.float64)

    def describe(self) -> Any:
        return {"event": self.label, "seed": self.seed, "generator": generator.VERSION}


@dataclass(frozen=True)
class Sounds:
    """Sound events by class: recordings, or (``events``) the generator's classes."""

    clips: tuple[Listed, ...] = ()
    events: tuple[str, ...] = ()
    seeds: range = range(2**31)  # of generated events

    def describe(self) -> Any:
        """JSON of what is generated; the files are known by their listing."""
        if not self.events:
            return None
        part = {} if self.seeds == range(2**31) else {"seeds": [self.seeds.start, self.seeds.stop]}
        return {"version": generator.VERSION, "labels": self.events, **part}

    def two(self, rng: np.random.Generator) -> tuple[tuple[str, Source], tuple[str, Source]]:
        """Two sounds that share no class, as (class, sound)."""
        first = self.one(rng)
        return first, self.one(rng, apart=first)

    def one(self, rng: np.random.Generator, apart: tuple[str, Source] | None = None) -> tuple[str, Source]:
        """A class at random, then a sound of it; ``apart`` names one whose classes and group it must not share."""
        if self.events:
            labels = [x for x in self.events if apart is None or x != apart[0]]
            label = labels[int(rng.integers(len(labels)))]
            return label, Event(label, int(rng.integers(self.seeds.start, self.seeds.stop)))
        taken: set[str] = set()
        if apart is not None:
            taken = {label for c in self.clips if c.group == apart[1].group for label in c.labels} | {apart[0]}
        groups = {apart[1].group} if apart is not None else set()
        by_class: dict[str, list[Listed]] = {}
        for clip in self.clips:
            if not taken & set(clip.labels) and clip.group not in groups:
                by_class.setdefault(clip.labels[0], []).append(clip)
        if not by_class:
            raise InputError("sounds of two different classes are needed, and there is no second one")
        label = sorted(by_class)[int(rng.integers(len(by_class)))]
        clip = by_class[label][int(rng.integers(len(by_class[label])))]
        return label, Recorded((_opened(clip),), clip.group)


@dataclass(frozen=True)
class Voices:
    """Speech by speaker. ``partners``: pairs of a woman and a man are fixed, in the order of both, and share nobody."""

    clips: tuple[Listed, ...]
    partners: bool = False
    _by_speaker: dict[str, list[Listed]] = field(init=False, repr=False, compare=False, hash=False)

    def __post_init__(self) -> None:
        by_speaker: dict[str, list[Listed]] = {}
        for clip in self.clips:
            by_speaker.setdefault(clip.group, []).append(clip)
        object.__setattr__(self, "_by_speaker", by_speaker)

    def speakers(self, sex: str | None = None) -> list[str]:
        """Sorted speakers, all or of one sex."""
        return sorted(s for s, clips in self._by_speaker.items() if sex is None or clips[0].sex == sex)

    def one(self, rng: np.random.Generator, duration_s: float, sex: str | None = None) -> tuple[str | None, Source]:
        """A speaker at random with as many utterances as fill ``duration_s``, as (sex, sound)."""
        speakers = self.speakers(sex)
        return self.of(speakers[int(rng.integers(len(speakers)))], rng, duration_s)

    def of(self, speaker: str, rng: np.random.Generator, duration_s: float) -> tuple[str | None, Source]:
        """The same of a speaker by name."""
        own = self._by_speaker[speaker]
        clips: list[Clip] = []
        for k in rng.permutation(len(own)):
            clips.append(_opened(own[k]))
            if sum(c.duration_s for c in clips) >= duration_s:
                break
        return own[0].sex, Recorded(tuple(clips), speaker)


@functools.lru_cache(maxsize=4096)
def _opened(clip: Listed) -> Clip:
    return opened(clip)


def _part(data: str, split: str | None) -> tuple[Listed, ...]:
    """A split of ``data``. Where it has none of the names that presets give to parts of the package's own sounds, those
    are halves of its groups (speakers, recordings) by their digests: ``train`` the one, ``test`` and ``panel`` the
    other. Ours."""
    found = read_layout(data)
    if split not in OWN_SPLITS or any(x.split == split for x in found):
        return read_layout(data, split)
    return tuple(x for x in found if (int(digest(x.group), 16) % 2 == 0) == (split == "train"))


@functools.lru_cache(maxsize=16)
def voices(data: str | None, split: str | None, digits: bool) -> Voices:
    """Speech of ``data``, or (None) the package's voices: all, or those that its models were trained on (``train``), or
    the others (``test``), or the panel, whose members have partners. ``digits``: spoken digits alone where there are
    any, else everything; of the package's voices sentences alone where not. Raises :class:`InputError` where there is
    none."""
    if data is None and split == PANEL:
        return Voices(tuple(x for c in speech_panel() if (x := listed(c)) is not None), partners=True)
    if data is None:
        own = [
            c for c in bundled_speech() if split in (None, "test" if c.labels["speaker"] in HELD_VOICES else "train")
        ]
        found = [x for c in own if (x := listed(c)) is not None]
        return Voices(tuple(x for x in found if ("digit" in x.more) == digits))
    speech = [x for x in _part(data, split) if x.kind == "speech"]
    if not speech:
        raise InputError("holds no speech", where=data, fix="Name a manifest with transcripts, or LibriSpeech.")
    spoken_digits = [x for x in speech if "digit" in x.more]
    return Voices(tuple(spoken_digits if digits and spoken_digits else speech))


@functools.lru_cache(maxsize=16)
def sounds(data: str | None, split: str | None) -> Sounds:
    """Sound events of ``data``, or (None) those of the generator, whose models are trained on seeds below
    :data:`TRAINED_SEEDS` (``train``; ``test``: the others). Raises :class:`InputError` where there is none."""
    if data is None:
        unknown = range(TRAINED_SEEDS, 2**31)
        seeds = {"train": range(TRAINED_SEEDS), "test": unknown, PANEL: unknown, None: range(2**31)}[split]
        return Sounds(events=generator.catalogue()["event"], seeds=seeds)
    found = [x for x in _part(data, split) if x.kind == "sound"]
    if not found:
        raise InputError("holds no sound with a class", where=data, fix="Name ESC-50, FSD50K, or folders by class.")
    return Sounds(tuple(found))
