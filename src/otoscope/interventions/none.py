"""The empty intervention: the model as it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

from otoscope.core.nouns import Model
from otoscope.interventions.shown import ShownMethod


@dataclass(frozen=True)
class NoIntervention(ShownMethod):
    """Changes nothing; the baseline of every comparison."""

    version: ClassVar[int] = 1

    def identity(self) -> Mapping[str, Any]:
        return {"class": "none"}

    @contextmanager
    def on(self, model: Model) -> Iterator[None]:
        yield None
