"""Inputs of the BMLD items: triplets and interval pairs, made when they are needed."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from otoscope.audio.binaural import BinauralSpec
from otoscope.audio.resample import resample
from otoscope.audio.stimuli import intervals, render, to_audio, triplet
from otoscope.audio.transforms.base import Transform
from otoscope.core.audio import Audio

Float = NDArray[np.float64]
Steps = tuple[Transform, ...]


@dataclass(frozen=True)
class TripletInputs:
    """``n0``, ``s0``, ``spi`` of one seed, and ``n0_other``: the noise of the next seed, under the same transforms, as
    the yardstick of natural variation.

    ``transforms`` are applied in order, each with the seed its sound belongs to. ``test`` None: the target of the spec.
    ``made_at`` Hz: synthesised at that rate and resampled (a protocol that says so); None: at the listener's own.
    """

    names: ClassVar[tuple[str, ...]] = ("n0", "s0", "spi", "n0_other")

    spec: BinauralSpec
    seed: int
    reference: str = "S0"
    test: str | None = "Spi"
    made_at: int | None = None
    transforms: Steps = ()

    def render(self, rate: int) -> dict[str, Audio]:
        made = self.made_at or rate
        noise = self.spec.noise_alone()
        raw = triplet(self.spec, self.seed, made, self.reference, self.test)
        signals = changed(raw, self.transforms, made, self.seed, noise)
        signals["n0_other"] = changed_noise(noise, self.transforms, made, self.seed + 1)
        return {name: resample(audio, rate) for name, audio in to_audio(signals, made).items()}

    def describe(self) -> Any:
        return {
            "triplet": self.spec,
            "seed": self.seed,
            "reference": self.reference,
            "test": self.test,
            "made_at": self.made_at,
            "transforms": [t.describe() for t in self.transforms],
        }


@dataclass(frozen=True)
class IntervalInputs:
    """``signal`` and ``noise``: the two intervals of a forced choice, with independent noises."""

    names: ClassVar[tuple[str, ...]] = ("signal", "noise")

    spec: BinauralSpec
    seed: int

    def render(self, rate: int) -> dict[str, Audio]:
        return to_audio(intervals(self.spec, self.seed, rate), rate)

    def describe(self) -> Any:
        return {"intervals": self.spec, "seed": self.seed}


def changed(raw: dict[str, Float], steps: Steps, rate: int, seed: int, noise: BinauralSpec) -> dict[str, Float]:
    """A triplet under ``steps``. Unless a step needs the noise beside the rest, the changed noise is taken from a small
    memory: it is the same for every signal-to-noise ratio of a seed."""
    if any("n0" in t.needs for t in steps):
        return apply(raw, steps, rate, seed)
    rest = apply({k: v for k, v in raw.items() if k != "n0"}, steps, rate, seed)
    return {"n0": changed_noise(noise, steps, rate, seed), **rest}


def apply(signals: dict[str, Float], steps: Steps, rate: int, seed: int) -> dict[str, Float]:
    for step in steps:
        signals = step.apply(signals, rate, seed)
    return signals


@functools.lru_cache(maxsize=16)
def changed_noise(noise: BinauralSpec, steps: Steps, rate: int, seed: int) -> Float:
    """The noise alone of a seed under ``steps``; read-only."""
    x = render(noise, seed, rate)
    needed = {name for t in steps for name in t.needs}
    out = apply(dict.fromkeys(sorted({"n0", *needed}), x), steps, rate, seed)["n0"]
    out.flags.writeable = False
    return out
