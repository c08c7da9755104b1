"""``evict/h2o``: heavy hitters and the latest tokens (H2O, arXiv 2306.14048).

A token's score is the attention that it has received from all queries so far, summed, and averaged over the heads that
share keys. ``recent`` of what is kept are the latest tokens, whatever their score; the rest are the heaviest hitters.
The whole map is needed once, and is computed in slices of queries, in float32, beside the network's own kernel: this is
the costly method. Early tokens are seen by more queries; ``mean`` divides by how many (as the benchmark's port does).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from otoscope.core.errors import UsageError
from otoscope.interventions.evict.evictor import Evictor, Held, Watches
from otoscope.interventions.evict.rows import attention, by_group

#: Queries whose rows are computed at once.
_SLICE = 128


@dataclass(frozen=True)
class H2O(Evictor):
    """``recent``: share of what is kept (one half in the paper); ``mean``: per query that could see it."""

    name: ClassVar[str] = "evict/h2o"
    watches: ClassVar[Watches] = "met"
    recent: float = 0.5
    mean: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.recent, bool) or not 0 <= self.recent <= 1:
            raise UsageError(f"recent={self.recent} is no share from 0 to 1", where=self.name)

    def scores(self, held: Held) -> Tensor:
        assert held.queries is not None
        sums = torch.zeros(held.keys.shape[:2], device=held.keys.device)
        before = held.memory.get("sums")
        if before is not None:
            sums[:, : before.shape[1]] = before
        for first in range(0, held.queries.shape[1], _SLICE):
            sums += by_group(attention(held, first, first + _SLICE).sum(1), held)
        held.memory["sums"] = sums
        return sums / (held.seen - held.at) if self.mean else sums

    def protected(self, held: Held, budget: int) -> Tensor:
        return torch.arange(held.n, device=held.keys.device) >= held.n - round(self.recent * budget)

    def kept(self, held: Held, kept: Tensor) -> None:
        held.memory["sums"] = held.memory["sums"].gather(1, kept)
