"""``prune/frame``: every n-th token, in equal strides ``floor(i N / n)``: the strong, cheap control for sound (fact
sheet of arXiv 2604.23717, section 5.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from otoscope.interventions.prune.engine import Row
from otoscope.interventions.prune.pruner import Pruner


@dataclass(frozen=True)
class Frame(Pruner):
    """No parameters of its own; a floor of coverage is what it is."""

    name: ClassVar[str] = "prune/frame"

    def scores(self, row: Row) -> Tensor:
        return torch.zeros(len(row.audio), device=row.hidden.device)

    def pick(self, scores: Tensor, n: int) -> Tensor:
        return torch.arange(n, device=scores.device) * len(scores) // n
