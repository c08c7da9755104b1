"""``prune/fastv``: attention of the last row, averaged over heads (FastV, arXiv 2403.06764).

``I[j]`` is the mean over heads of the attention of the prompt's last token to audio token ``j`` in the layer below
``K``. The paper's text speaks of the mean over tokens; its code uses the last row, and so do we. The row alone is
computed, from the queries and keys that meet in that layer; the network's own kernel stays in force.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from otoscope.core.sites import SiteMap
from otoscope.interventions.hooks import Action
from otoscope.interventions.prune.engine import Row
from otoscope.interventions.prune.probing import attention_rows, met, projected, watch_attention, watch_projections
from otoscope.interventions.prune.pruner import Pruner


@dataclass(frozen=True)
class FastV(Pruner):
    """No parameters of its own."""

    name: ClassVar[str] = "prune/fastv"

    def watching(self, sites: SiteMap, watched: dict[str, Tensor]) -> list[Action]:
        return watch_attention(sites, self.layer - 1, watched)

    def vectors(self, row: Row) -> tuple[Tensor, Tensor]:
        """Queries and keys of the layer below."""
        return met(row)

    def scores(self, row: Row) -> Tensor:
        last = row.real.nonzero()[-1:, 0]
        return attention_rows(row, *self.vectors(row), last)[:, 0, row.audio].mean(0)


@dataclass(frozen=True)
class FastVNoRope(FastV):
    """``prune/fastv-norope``: the same without the rotary embedding, whose pull towards the end of the sound is then
    gone (an ablation of ours)."""

    name: ClassVar[str] = "prune/fastv-norope"

    def watching(self, sites: SiteMap, watched: dict[str, Tensor]) -> list[Action]:
        return watch_projections(sites, self.layer - 1, watched)

    def vectors(self, row: Row) -> tuple[Tensor, Tensor]:
        return projected(row)
