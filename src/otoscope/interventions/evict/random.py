"""``evict/random``: keys drawn at random in every layer and head, the control that every method must beat (fact sheet
of arXiv 2510.07293, section 6.1). The draw depends on the seed, the layer and the number of tokens alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from otoscope.interventions.evict.evictor import Evictor, Held


@dataclass(frozen=True)
class Random(Evictor):
    """``seed`` of the draw."""

    name: ClassVar[str] = "evict/random"
    seed: int = 0

    def scores(self, held: Held) -> Tensor:
        draw = torch.Generator().manual_seed(1_000_003 * (1_009 * self.seed + held.layer) + held.seen)
        return torch.rand(held.keys.shape[:2], generator=draw).to(held.keys.device)
