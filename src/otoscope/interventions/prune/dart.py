"""``prune/dart``: tokens least alike to a few pivots (DART, arXiv 2502.11494). No attention is needed.

Pivots are the ``pivots`` audio and text tokens whose keys in the layer below ``K`` have the largest L1 norm. Each pivot
in turn takes the remaining audio tokens least cosine-similar to it in the normed residual stream; the audio pivots stay
too. The original gives each pivot ``floor(keep N / 2p)``; here what is left of the budget goes to the first pivots
(ours), so that all methods keep the same number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from otoscope.core.errors import UsageError
from otoscope.core.sites import SiteMap
from otoscope.interventions.hooks import Action
from otoscope.interventions.prune.budget import check_count, kept_count, top
from otoscope.interventions.prune.engine import Row
from otoscope.interventions.prune.pruner import Pruner, watch


@dataclass(frozen=True)
class Dart(Pruner):
    """``pivots`` of each kind (4 in the port to sound). It has no scores, so no ``floor``."""

    name: ClassVar[str] = "prune/dart"
    pivots: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count(self.pivots, "pivots", self.name)
        if self.floor:
            raise UsageError("has no scores, so it takes no floor", where=self.name)

    def watching(self, sites: SiteMap, watched: dict[str, Tensor]) -> list[Action]:
        return [watch(sites, "self_k", self.layer - 1, watched)]

    def choose(self, row: Row) -> tuple[Tensor, Mapping[str, float]]:
        norms = row.watched["self_k"][:, : len(row.real)].float().abs().sum((0, 2))
        layer: Any = row.layer
        stream = torch.nn.functional.normalize(layer.input_layernorm(row.hidden).float(), dim=-1)
        heard = torch.zeros_like(row.real)
        heard[row.audio] = True
        texts = (row.real & ~heard).nonzero()[:, 0]
        kept = [
            self._of(row.audio[a:b], texts, norms, stream, kept_count(self.keep, b - a)) for a, b in self.parts(row)
        ]
        return torch.cat(kept), {}

    def _of(self, audio: Tensor, texts: Tensor, norms: Tensor, stream: Tensor, n: int) -> Tensor:
        p = min(self.pivots, n)
        own = audio[top(norms[audio], p)]
        pivots = torch.cat([own, texts[top(norms[texts], min(self.pivots, len(texts)))]])
        kept, left = set(own.tolist()), n - p
        for i, pivot in enumerate(pivots):
            share = left // len(pivots) + (i < left % len(pivots))
            rest = torch.tensor([t for t in audio.tolist() if t not in kept], device=audio.device, dtype=torch.long)
            kept |= set(rest[top(-(stream[rest] @ stream[pivot]), share)].tolist())
        return torch.tensor(sorted(kept), device=audio.device, dtype=torch.long)
