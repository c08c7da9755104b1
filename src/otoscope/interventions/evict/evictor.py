"""The base of eviction methods: a method says what it watches and how it scores; the rest is common."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import Tensor

from otoscope.core.errors import UsageError
from otoscope.interventions.decoder import EVICTS
from otoscope.interventions.prune.budget import check_keep, top
from otoscope.interventions.shown import ShownMethod

Scope = Literal["prompt", "audio", "clip"]
Watches = Literal["nothing", "met", "projected"]


@dataclass(frozen=True, eq=False)
class Held:
    """What one layer's cache holds of one prompt, padding left out: ``n`` tokens in order, for ``H_kv`` heads.

    ``keys``, ``values`` ``[H_kv, n, d]``; ``at`` ``[H_kv, n]`` counts the prompt's tokens from 0, ``seen`` is how many
    there have been. ``queries`` ``[H, t, d]`` are those of the last ``t`` tokens, as the method watches them.
    ``scale`` is what the layer multiplies products with; ``angles(n)`` gives cosines and sines ``[n, d]`` of the next
    ``n`` positions. ``memory`` is the method's own, and lasts as long as the cache.
    """

    layer: int
    keys: Tensor
    values: Tensor
    at: Tensor
    seen: int
    queries: Tensor | None
    scale: float
    angles: Any
    memory: dict[str, Any]

    @property
    def n(self) -> int:
        return int(self.keys.shape[1])


@dataclass(frozen=True)
class Evictor(ShownMethod):
    """``keep`` of the cache's tokens stay in every layer and head: of the whole prompt (``scope=prompt``), or of its
    sound, all text staying (``audio``; ``clip``: of each clip). That happens at the end of the prompt, layer by layer,
    and, where ``every`` is not 0, again after every so many tokens of the answer, of all tokens so far."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    #: What is watched of each layer's queries: as they meet the keys, or before the rotary embedding.
    watches: ClassVar[Watches] = "nothing"
    keep: float = 0.5
    scope: Scope = "prompt"
    every: int = 0

    def __post_init__(self) -> None:
        check_keep(self.keep, self.name)
        if self.scope not in get_args(Scope):
            raise UsageError(f"scope={self.scope} is not one of {', '.join(get_args(Scope))}", where=self.name)
        if isinstance(self.every, bool) or not isinstance(self.every, int) or self.every < 0:
            raise UsageError(f"every={self.every} is no number of tokens", where=self.name)
        if self.every and self.scope != "prompt":
            what = f"every={self.every} goes with scope=prompt alone: an answer adds no sound to evict"
            raise UsageError(what, where=self.name)

    def identity(self) -> Mapping[str, Any]:
        own = {f.name: getattr(self, f.name) for f in fields(self)}
        return {"class": self.name, "version": self.version, **own}

    @property
    def rank(self) -> float:
        """Where it stands among methods that nest."""
        return EVICTS

    @property
    def last(self) -> int | None:
        """How many of the last queries are wanted; None: all since the last eviction."""
        return None

    def scores(self, held: Held) -> Tensor:
        """Of each token in each head ``[H_kv, n]``; more is kept."""
        raise NotImplementedError

    def protected(self, held: Held, budget: int) -> Tensor:
        """Tokens ``[n]`` that stay whatever their score, where there is room: the latest of them."""
        return torch.zeros(held.n, dtype=torch.bool, device=held.keys.device)

    def kept(self, held: Held, kept: Tensor) -> None:
        """Told which tokens ``[H_kv, m]`` have stayed, to bring ``held.memory`` into line."""

    def pick(self, held: Held, scores: Tensor, part: Tensor, budget: int) -> Tensor:
        """Of the tokens ``part`` ``[p]``, the indices ``[H_kv, budget]`` of those that stay, rising."""
        own = self.protected(held, budget)[part]
        if int(own.sum()) >= budget:
            return own.nonzero()[:, 0][-budget:].expand(len(scores), -1)
        return top(scores[:, part].float().masked_fill(own, float("inf")), budget)

    @contextmanager
    def on(self, model: Any) -> Iterator[Any]:
        from otoscope.interventions.evict.engine import Engine, evicting

        with evicting(Engine(model, self)) as report:
            yield report
