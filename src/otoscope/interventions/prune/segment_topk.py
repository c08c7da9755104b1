"""``prune/segment-topk``: the best of every segment (Segmentwise Top-K, fact sheet of arXiv 2604.23717, section 5.9).

The sound is cut into ``segments`` equal stretches; each keeps the ``floor(n / segments)`` most attended tokens, and
what is left of the budget goes to the best of the rest. The original scores encoder outputs; the score here is FastV's
(ours), so that only the rule of selection differs from ``prune/fastv``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from otoscope.interventions.prune.budget import check_count, stretches, top
from otoscope.interventions.prune.fastv import FastV


@dataclass(frozen=True)
class SegmentTopK(FastV):
    """``segments`` of each prompt's sound; fewer where fewer tokens are kept."""

    name: ClassVar[str] = "prune/segment-topk"
    segments: int = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count(self.segments, "segments", self.name)

    def pick(self, scores: Tensor, n: int) -> Tensor:
        lifted, segments = scores.float().clone(), min(self.segments, n)
        for a, b in stretches(len(scores), segments):
            lifted[a + top(scores[a:b], min(n // segments, b - a))] = float("inf")
        return top(lifted, n)
