"""``prune/sparsevlm+``: head-aware but not routed (SparseVLM, arXiv 2410.04417, in its second version).

Raters are the text tokens whose mean softmaxed similarity to the audio tokens exceeds the mean over text. Attention of
the raters to each audio token in the layer below ``K`` is divided by its rotary term (what all-ones queries and keys
would give), so that nearness does not count, and averaged over the ``heads`` that give sound the most mass (14 in the
original). The original prunes at several layers by fixed lists and recycles dropped tokens; here it prunes once, at
``K``, like every method (ours). It isolates what routing adds to ``headrouter``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from otoscope.core.sites import SiteMap
from otoscope.interventions.hooks import Action
from otoscope.interventions.prune.budget import check_count
from otoscope.interventions.prune.engine import Row
from otoscope.interventions.prune.probing import attention_rows, met, rotated, watch_attention
from otoscope.interventions.prune.pruner import Pruner


@dataclass(frozen=True)
class SparseVLMPlus(Pruner):
    """``heads`` that vote, at most as many as there are."""

    name: ClassVar[str] = "prune/sparsevlm+"
    heads: int = 14

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count(self.heads, "heads", self.name)

    def watching(self, sites: SiteMap, watched: dict[str, Tensor]) -> list[Action]:
        return watch_attention(sites, self.layer - 1, watched)

    def scores(self, row: Row) -> Tensor:
        rows = raters(row)
        found = attention_rows(row, *met(row), rows)
        ones = torch.ones(1, *row.angles[0].shape, device=found.device)
        turned = rotated(ones, row.angles)
        nearness = attention_rows(row, turned, turned, rows)
        mass = found[..., row.audio].sum(-1).mean(1)
        chosen = mass.argsort(descending=True, stable=True)[: self.heads]
        return (found[chosen] / nearness.clamp_min(1e-12))[..., row.audio].mean((0, 1))


def raters(row: Row) -> Tensor:
    """Positions of the text tokens after the sound that are more like it than text is on the mean."""
    x = torch.nn.functional.normalize(row.hidden.float(), dim=-1)
    like = (x[row.text] @ x[row.audio].T).softmax(0).mean(1)
    return row.text[like >= like.mean()]
