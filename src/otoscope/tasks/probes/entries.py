"""Collections: what every data set becomes before a probe sees it, whatever its form on disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from otoscope.tasks.probes.sources import Source


@dataclass(frozen=True)
class Entry:
    """One clip. ``part`` is the split (``train``, ``valid``, ``test``) or the fold it belongs to; ``labels`` are its
    classes (one where a clip has one class), ``target`` what else is true of it (events with times, captions).
    ``group`` is what a split should keep whole. ``shard`` and its order in the collection say where it came in the
    stream. ``problem``: why it cannot be used."""

    id: str
    part: str
    labels: tuple[str, ...]
    group: str
    source: Source | None
    shard: str = ""
    target: Any = None
    problem: str | None = None


@dataclass(frozen=True)
class Training:
    """How X-ARES trains this task's head, and how it cuts and batches its sounds."""

    batch: int = 32
    epochs: int = 10
    lr: float = 1e-3
    encode_batch: int = 16
    per_shard: int = 2000
    crop_s: float | None = None
    pos_weight: float | None = None


@dataclass(frozen=True)
class Collection:
    """``folds``: the parts are folds, each held out once. ``metric`` is ``accuracy`` (one class of many), ``map``
    (several at once), ``segment-f1-macro`` or ``segment-f1-micro`` (events in time). ``weight`` is of the weighted
    average; ``published``: the name of the row in the published tables."""

    name: str
    title: str
    domain: str
    classes: tuple[str, ...]
    entries: tuple[Entry, ...]
    folds: bool
    metric: str = "accuracy"
    kind: str = "clip"
    training: Training = field(default_factory=Training)
    knn: bool = True
    weight: float = 1.0
    published: str | None = None
    more: Mapping[str, Any] = field(default_factory=dict)

    @property
    def parts(self) -> tuple[str, ...]:
        """Parts in the order in which they come."""
        return tuple(dict.fromkeys(e.part for e in self.entries))
