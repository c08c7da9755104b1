"""Published scores as data (``data/published.json``), each table with its source, so that a report can print them
beside measured ones. They were not measured by this package, and another protocol or version is another number."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

from otoscope.core.errors import UsageError
from otoscope.core.registry import suggestions
from otoscope.tasks.probes.averages import Point
from otoscope.tasks.probes.catalog import xares_tasks

Scores = Mapping[str, Mapping[str, Mapping[str, float]]]


@dataclass(frozen=True)
class Published:
    """``scores`` by probe, model and task; ``printed_average`` by probe and model, as printed (``with_private`` over
    tasks too that nobody can obtain). ``names`` are the models' in words."""

    id: str
    title: str
    source: str
    protocol: str
    note: str
    names: Mapping[str, str]
    scores: Scores
    printed_average: Mapping[str, Mapping[str, float]]
    with_private: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def points(self, probe: str, model: str) -> list[Point]:
        """Scores of X-ARES' tasks with their weights and chance, in the catalogue's order. A task that the table lacks
        is absent; a task of another suite is left out."""
        own = self.scores[probe][model]
        return [
            Point(name, task.domain, own[name], float(task.weight), chance_of(name))
            for name, task in xares_tasks().items()
            if name in own
        ]


def chance_of(task: str) -> float:
    """What a guess among equally likely classes gets; 0 for other metrics, where a guess is worth next to nothing or
    (average precision) depends on the test part. Ours."""
    found = xares_tasks()[task]
    n = len(found.classes) or found.n_classes
    return 1.0 / n if found.metric == "accuracy" and n else 0.0


@cache
def published_tables() -> Mapping[str, Published]:
    """All tables by id."""
    text = (files("otoscope.tasks.probes") / "data" / "published.json").read_text(encoding="utf-8")
    found = {}
    for row in json.loads(text)["tables"]:
        private = row.pop("printed_average_with_private_tasks", {})
        found[row["id"]] = Published(**row, with_private=private)
    return found


def published(id: str) -> Published:
    """One table. Raises :class:`UsageError` with near names."""
    known = list(published_tables())
    if id not in known:
        near = suggestions(id, known) or known
        raise UsageError(f"there is no published table {id!r}", fix=f"Use {', '.join(near)}.")
    return published_tables()[id]
