"""What a shard needs to run, and one item on its way through it: shared by the modules that ask models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from otoscope.core.audio import Audio
from otoscope.core.items import Item
from otoscope.core.nouns import Condition, Intervention, Request, Task
from otoscope.results.embeddings import EmbeddingStore

#: Rate at which a model without a rate of its own hears the sounds (Hz).
DEFAULT_RATE = 16_000


@dataclass(frozen=True)
class Bench:
    """A cell with its parts resolved. ``embeddings``: where what the model gives is kept for other runs."""

    task: Task
    condition: Condition
    model: Any
    intervention: Intervention
    batch: int = 16
    repeats: int = 1
    embeddings: EmbeddingStore | None = None


@dataclass(frozen=True)
class Broken:
    """What stands where a value would, had it not failed."""

    error: Exception


@dataclass
class Asked:
    """One item on its way through a chunk: under its condition, with its request and the sounds that it names.
    ``keys`` say which of an encoder's sounds are equal; ``seconds_render`` and ``peak_render`` (bytes) what making the
    sounds took."""

    item: Item
    request: Request
    signals: dict[str, Audio]
    keys: dict[str, str]
    seconds_render: float
    peak_render: int | None = None
