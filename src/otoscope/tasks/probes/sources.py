"""Where the sound of a probe's item comes from: a member of a tar, a file, or the package's generator.

A source is small, frozen and names its content; ``load`` decodes at the sound's own rate, ``length`` is samples and
rate from the header alone.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

from otoscope.audio import generator, io
from otoscope.core.audio import Audio
from otoscope.core.errors import InputError
from otoscope.core.identity import file_digest


class Source(Protocol):
    def load(self) -> Audio: ...

    def length(self) -> tuple[int, int]:
        """Samples per channel, and the rate in Hz."""
        ...

    def describe(self) -> Any:
        """Plain JSON: what a score can depend on."""
        ...


@dataclass(frozen=True)
class TarMember:
    """``size`` bytes at ``offset`` of the uncompressed archive ``path``: nothing is unpacked."""

    path: Path
    name: str
    offset: int
    size: int

    def _bytes(self) -> bytes:
        with self.path.open("rb") as f:
            f.seek(self.offset)
            data = f.read(self.size)
        if len(data) != self.size:
            raise InputError(f"ends inside its member {self.name}", where=str(self.path), fix="Fetch it again.")
        return data

    def load(self) -> Audio:
        return io.read_bytes(self._bytes(), f"{self.path.name}/{self.name}")

    def length(self) -> tuple[int, int]:
        found = io.info_bytes(self._bytes(), f"{self.path.name}/{self.name}")
        return found.frames, found.rate

    def sha256(self) -> str:
        return hashlib.sha256(self._bytes()).hexdigest()

    def describe(self) -> Any:
        return {"tar": self.path.name, "member": self.name, "bytes": self.size}


@dataclass(frozen=True)
class SoundFile:
    """A file; ``name`` is its path inside the data set, with ``/``."""

    path: Path
    name: str

    def load(self) -> Audio:
        return io.read(self.path)

    def length(self) -> tuple[int, int]:
        found = io.info(self.path)
        return found.frames, found.rate

    def sha256(self) -> str:
        return file_digest_of(self.path)

    def describe(self) -> Any:
        return {"file": self.name, "sha256": file_digest_of(self.path) if self.path.is_file() else None}


@lru_cache(maxsize=65536)
def file_digest_of(path: Path) -> str:
    """sha256 of a file, once in a process."""
    return file_digest(path)


@dataclass(frozen=True)
class Made:
    """A sound of the package's generator, at 16 kHz."""

    kind: str
    label: str
    seed: int
    duration_s: float = 2.0
    rate: int = 16_000

    def load(self) -> Audio:
        return generator.generate(self.kind, self.label, self.seed, self.rate, self.duration_s)

    def length(self) -> tuple[int, int]:
        return round(self.duration_s * self.rate), self.rate

    def describe(self) -> Any:
        made = [self.kind, self.label, self.seed, self.duration_s, self.rate]
        return {"made": made, "generator": generator.VERSION}
