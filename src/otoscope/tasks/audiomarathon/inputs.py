"""The sound of an item: a file, found when it is needed; and the same item without it, or with another's."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from otoscope.audio import io
from otoscope.core.audio import Audio
from otoscope.core.errors import InputError
from otoscope.tasks.audiomarathon.layout import Entry

CLIP = "clip"


@dataclass(frozen=True)
class FileInputs:
    """The file of ``entry`` as ``clip``, its channels averaged. ``donor``: the entry whose sound the condition
    ``shuffled-audio`` puts in its place."""

    names: ClassVar[tuple[str, ...]] = (CLIP,)

    entry: Entry
    donor: Entry | None = field(default=None, compare=False)

    def render(self, rate: int) -> dict[str, Audio]:
        if self.entry.problem is not None:
            raise InputError(self.entry.problem, where=self.entry.id)
        return {CLIP: io.read(self.entry.path, rate=rate).mono()}

    def describe(self) -> Any:
        """The name and the size of the file; a manifest with its digest is written by ``otoscope data manifest``."""
        there = self.entry.path.is_file()
        return {"file": self.entry.name, "bytes": self.entry.path.stat().st_size if there else None}

    def shuffled(self) -> FileInputs:
        """The same with the donor's sound. Raises :class:`InputError` where there is none."""
        if self.donor is None:
            raise InputError("there is no other recording to take the sound from", where=self.entry.id)
        return FileInputs(self.donor)

    @property
    def transcript(self) -> str | None:
        """What is said in it, where that is known."""
        return self.entry.transcript


@dataclass(frozen=True)
class NoSound:
    """No sound at all. ``told``: what is said in it, to be read instead."""

    names: ClassVar[tuple[str, ...]] = ()

    told: str | None = None

    def render(self, rate: int) -> dict[str, Audio]:
        return {}

    def describe(self) -> Any:
        return {"sound": None, "told": self.told}
