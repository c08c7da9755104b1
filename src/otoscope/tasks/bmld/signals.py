"""Inputs of the BMLD items: triplets and interval pairs, made when they are needed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from otoscope.audio.binaural import BinauralSpec
from otoscope.audio.resample import resample
from otoscope.audio.stimuli import intervals, render, to_audio, triplet
from otoscope.core.audio import Audio

Float = NDArray[np.float64]
Signals = dict[str, Float]
#: A rung: changes all signals of one seed jointly, at a rate.
Transform = Callable[[Signals, int, int], Signals]


@dataclass(frozen=True)
class TripletInputs:
    """``n0``, ``s0``, ``spi`` of one seed, and ``n0_other``: the noise of the next seed, under the same transforms, as
    the yardstick of natural variation. ``transforms`` are applied in order, each with the seed its sound belongs to.
    ``made_at`` Hz: synthesised at that rate and resampled (a protocol that says so); None: at the listener's own."""

    names: ClassVar[tuple[str, ...]] = ("n0", "s0", "spi", "n0_other")

    spec: BinauralSpec
    seed: int
    reference: str = "S0"
    test: str = "Spi"
    made_at: int | None = None
    transforms: tuple[tuple[Any, Transform], ...] = ()

    def render(self, rate: int) -> dict[str, Audio]:
        made = self.made_at or rate
        own = self._apply(triplet(self.spec, self.seed, made, self.reference, self.test), made, self.seed)
        # Rungs act on whole triplets; one of noise alone three times is the cheapest that they take.
        noise = render(self.spec.noise_alone(), self.seed + 1, made)
        own["n0_other"] = self._apply({"n0": noise, "s0": noise, "spi": noise}, made, self.seed + 1)["n0"]
        return {name: resample(audio, rate) for name, audio in to_audio(own, made).items()}

    def _apply(self, signals: Signals, rate: int, seed: int) -> Signals:
        for _, transform in self.transforms:
            signals = transform(signals, rate, seed)
        return signals

    def describe(self) -> Any:
        return {
            "triplet": self.spec,
            "seed": self.seed,
            "reference": self.reference,
            "test": self.test,
            "made_at": self.made_at,
            "transforms": [label for label, _ in self.transforms],
        }

    def with_spec(self, **changes: Any) -> TripletInputs:
        return replace(self, spec=replace(self.spec, **changes))


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
