"""Conditions that ask what a right answer rests on: no sound, another item's sound, a short piece, the words alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from otoscope.core.audio import Audio
from otoscope.core.errors import InputError, UsageError
from otoscope.core.items import Inputs, Item, Transformed
from otoscope.tasks.audiomarathon.inputs import NoSound


@dataclass(frozen=True)
class AudioBlind:
    """The question without the sound: what can be guessed from the words of the question."""

    version: ClassVar[int] = 1

    @property
    def label(self) -> Any:
        return {"control": "audio-blind", "version": self.version}

    def __call__(self, item: Item) -> Item:
        return item.with_inputs(NoSound())


@dataclass(frozen=True)
class ShuffledAudio:
    """The question with the sound of another item of the task, of another group: what any sound does."""

    version: ClassVar[int] = 1

    @property
    def label(self) -> Any:
        return {"control": "shuffled-audio", "version": self.version}

    def __call__(self, item: Item) -> Item:
        make = getattr(item.inputs, "shuffled", None)
        if make is None:
            raise InputError("this task knows no other item to take the sound from", where=item.id)
        found: Inputs = make()
        return item.with_inputs(found)


@dataclass(frozen=True)
class Crop:
    """``seconds`` of the sound from ``start_s``: what a short piece gives. A shorter sound stays whole."""

    version: ClassVar[int] = 1
    seconds: float = 10.0
    start_s: float = 0.0

    def __post_init__(self) -> None:
        if not self.seconds > 0 or self.start_s < 0:
            raise UsageError(f"a crop of {self.seconds} s from {self.start_s} s is no piece of sound")

    @property
    def label(self) -> Any:
        return {"control": "crop", "seconds": self.seconds, "start_s": self.start_s, "version": self.version}

    def __call__(self, item: Item) -> Item:
        return item.with_inputs(Transformed(item.inputs, self._cut, self.label))

    def _cut(self, signals: Mapping[str, Audio]) -> dict[str, Audio]:
        found = {}
        for name, audio in signals.items():
            start = min(round(self.start_s * audio.rate), max(0, audio.n - round(self.seconds * audio.rate)))
            stop = start + max(1, round(self.seconds * audio.rate))
            found[name] = Audio(audio.samples[:, start:stop], audio.rate)
        return found


@dataclass(frozen=True)
class TranscriptOnly:
    """The words that are spoken, to read instead of the sound: what needs no listening. Items without a known
    transcript fail with that reason."""

    version: ClassVar[int] = 1

    @property
    def label(self) -> Any:
        return {"control": "transcript-only", "version": self.version}

    def __call__(self, item: Item) -> Item:
        told = getattr(item.inputs, "transcript", None)
        if not told:
            raise InputError("no transcript of this item is known", where=item.id)
        return item.with_inputs(NoSound(str(told)))
