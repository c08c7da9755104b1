"""The mixture of an item: which sounds, which of them is the target, and how it is rendered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from otoscope.audio.mixing import Mix, mix
from otoscope.audio.signals import samples
from otoscope.audio.stimuli import band_noise
from otoscope.core.audio import Audio
from otoscope.core.errors import InputError, UsageError
from otoscope.tasks.separation.sources import Sounds, Source, Voices
from otoscope.tasks.separation.words import Words

Tier = Literal["clean", "noisy", "environmental", "speech-sound"]
TIERS: tuple[Tier, ...] = ("clean", "noisy", "environmental", "speech-sound")
#: Steady white noise of the noisy tier: the target is this much stronger (dB).
NOISE_SNR_DB = 5.0


@dataclass(frozen=True)
class Part:
    """One sound of a mixture: what a prompt calls it, and its kind (``woman``, ``man``, ``speech``, ``sound``)."""

    source: Source
    words: str
    kind: str


@dataclass(frozen=True)
class MixtureInputs:
    """``mixture``, and its stems ``target`` and ``residual`` (all that is not the target), mono."""

    names: ClassVar[tuple[str, ...]] = ("mixture", "target", "residual")

    spec: Mix
    target: Source
    other: Source
    noise_seed: int = 0  # of the white noise, where the spec has one

    def render(self, rate: int) -> dict[str, Audio]:
        target, other = (s.render(rate, self.spec.slot_s) for s in (self.target, self.other))
        noise = None
        if self.spec.noise_snr_db is not None:
            rng = np.random.default_rng(self.noise_seed)
            noise = band_noise(rng, samples(self.spec.duration_s, rate), rate, 0.0, rate / 2)
        return {name: Audio(x[None], rate) for name, x in mix(self.spec, target, other, rate, noise).items()}

    def describe(self) -> Any:
        return {
            "mix": self.spec,
            "target": self.target.describe(),
            "other": self.other.describe(),
            "noise_seed": None if self.spec.noise_snr_db is None else self.noise_seed,
        }


def draw_parts(
    tier: Tier,
    rng: np.random.Generator,
    slot_s: float,
    voices: Voices | None,
    sounds: Sounds | None,
    words: Words,
    turn: int = 0,
) -> tuple[Part, Part]:
    """The target and the other sound of one item; which of the two is the target is drawn too. Where voices have
    partners, pairs take turns, and either voice is the target every other round: ``turn`` is the item's number."""
    if tier == "environmental":
        assert sounds is not None
        pair = [Part(source, words.sound(label), "sound") for label, source in sounds.two(rng)]
    elif tier == "speech-sound":
        assert sounds is not None
        assert voices is not None
        _, voice = voices.one(rng, slot_s)
        label, sound = sounds.one(rng)
        pair = [Part(voice, words.voice(None), "speech"), Part(sound, words.sound(label), "sound")]
    else:
        assert voices is not None
        if voices.partners:
            return _partners(rng, slot_s, voices, words, turn)
        pair = []
        for sex, kind in (("female", "woman"), ("male", "man")):
            _, voice = voices.one(rng, slot_s, sex)
            pair.append(Part(voice, words.voice(sex), kind))
    first = int(rng.integers(2))
    return pair[first], pair[1 - first]


def _partners(rng: np.random.Generator, slot_s: float, voices: Voices, words: Words, turn: int) -> tuple[Part, Part]:
    sexes = (("female", "woman"), ("male", "man"))
    at = turn % len(voices.speakers("female"))
    pair = [Part(voices.of(voices.speakers(sex)[at], rng, slot_s)[1], words.voice(sex), kind) for sex, kind in sexes]
    first = (at + turn // len(voices.speakers("female"))) % 2
    return pair[first], pair[1 - first]


def check_tier(tier: str, voices: Voices | None, where: str) -> None:
    """Raise where the tier is unknown or its speech cannot be had."""
    if tier not in TIERS:
        raise UsageError(f"there is no tier {tier!r}", fix=f"Use {', '.join(TIERS)}.")
    if tier in ("clean", "noisy") and voices is not None:
        have = {sex: len(voices.speakers(sex)) for sex in ("female", "male")}
        if not all(have.values()):
            raise InputError(
                f"tier {tier} needs a woman and a man, and the data names {have['female']} women and "
                f"{have['male']} men",
                where=where,
                fix="Use data that says who is which (LibriSpeech), or the package's voices (no data=).",
            )
