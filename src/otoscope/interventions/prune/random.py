"""``prune/random``: tokens drawn at random, the control that every method must beat (fact sheet of arXiv 2604.23717,
section 5.1). The draw depends on the seed and the number of tokens alone, so that equal prompts keep equal tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from otoscope.interventions.prune.engine import Row
from otoscope.interventions.prune.pruner import Pruner


@dataclass(frozen=True)
class Random(Pruner):
    """``seed`` of the draw."""

    name: ClassVar[str] = "prune/random"
    seed: int = 0

    def scores(self, row: Row) -> Tensor:
        draw = torch.Generator().manual_seed(1_000_003 * self.seed + len(row.audio))
        return torch.rand(len(row.audio), generator=draw).to(row.hidden.device)
