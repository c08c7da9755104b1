"""The base of pruning methods: a method says what it watches and how it scores; the rest is common."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from otoscope.core.errors import UsageError
from otoscope.core.sites import SiteMap
from otoscope.interventions.hooks import Action, Observe, places
from otoscope.interventions.prune.budget import check_keep, kept_count, top, top_with_floor
from otoscope.interventions.prune.engine import Engine, Row, pruning
from otoscope.interventions.prune.report import Pruned
from otoscope.interventions.shown import ShownMethod


@dataclass(frozen=True)
class Pruner(ShownMethod):
    """``keep`` of the audio tokens go on from layer ``layer``, of each prompt or of each clip (``per``). ``floor``: as
    many equal stretches each keep at least one (0: none; ours)."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    keep: float = 0.5
    layer: int = 2
    per: Literal["prompt", "clip"] = "prompt"
    floor: int = 0

    def __post_init__(self) -> None:
        check_keep(self.keep, self.name)
        if self.per not in ("prompt", "clip"):
            raise UsageError(f"per={self.per} is neither prompt nor clip", where=self.name)
        if isinstance(self.floor, bool) or not isinstance(self.floor, int) or self.floor < 0:
            raise UsageError(f"floor={self.floor} is no number of stretches", where=self.name)

    def identity(self) -> Mapping[str, Any]:
        own = {f.name: getattr(self, f.name) for f in fields(self)}
        return {"class": self.name, "version": self.version, **own}

    @property
    def rank(self) -> float:
        """Where it stands among methods that nest."""
        return self.layer

    def watching(self, sites: SiteMap, watched: dict[str, Tensor]) -> list[Action]:
        """Observers that put what the scores need into ``watched``, batch first."""
        return []

    def scores(self, row: Row) -> Tensor:
        """Of each audio token of ``row`` ``[N]``; more is kept."""
        raise NotImplementedError

    def scored(self, row: Row) -> tuple[Tensor, Mapping[str, float]]:
        """:meth:`scores`, and numbers about ``row`` for the report."""
        return self.scores(row), {}

    def pick(self, scores: Tensor, n: int) -> Tensor:
        """Indices ``[n]`` of the tokens that stay, rising."""
        return top_with_floor(scores, n, self.floor) if self.floor else top(scores, n)

    def choose(self, row: Row) -> tuple[Tensor, Mapping[str, float]]:
        """Positions of the audio tokens that stay, and numbers for the report."""
        scores, told = self.scored(row)
        if scores.shape != row.audio.shape:
            raise UsageError(f"gave {tuple(scores.shape)} scores for {len(row.audio)} audio tokens", where=self.name)
        picked = [a + self.pick(scores[a:b], kept_count(self.keep, b - a)) for a, b in self.parts(row)]
        return row.audio[torch.cat(picked)], told

    def parts(self, row: Row) -> Sequence[tuple[int, int]]:
        """The stretches of audio tokens that each keep their share."""
        return row.clips if self.per == "clip" else [(0, len(row.audio))]

    @contextmanager
    def on(self, model: Any) -> Iterator[Pruned]:
        watched: dict[str, Tensor] = {}
        engine = Engine(model, self.name, self.layer, self.choose, watched)
        with pruning(engine, self.watching(engine.sites, watched)) as report:
            yield report


def watch(sites: SiteMap, site: str, layer: int, watched: dict[str, Tensor]) -> Action:
    """An observer that keeps what comes by ``site`` of ``layer``, of calls of more than one token."""

    def keep(value: Tensor) -> None:
        if value.shape[-2] > 1:
            watched[site] = value

    return Observe(places(sites, site, layer)[0], keep)
