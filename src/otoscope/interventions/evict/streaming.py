"""``evict/streaming``: the first few tokens and the latest ones stay (StreamingLLM, arXiv 2309.17453).

The first tokens are where attention goes that is needed nowhere else. The paper also moves what is left to the front;
here, as in all our methods, tokens keep their positions (ours).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from otoscope.interventions.evict.evictor import Evictor, Held
from otoscope.interventions.prune.budget import check_count


@dataclass(frozen=True)
class Streaming(Evictor):
    """``sinks``: how many of the first tokens stay (4 in the paper), at most half of what is kept (ours)."""

    name: ClassVar[str] = "evict/streaming"
    sinks: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count(self.sinks, "sinks", self.name)

    def scores(self, held: Held) -> Tensor:
        return held.at.float()

    def protected(self, held: Held, budget: int) -> Tensor:
        return torch.arange(held.n, device=held.keys.device) < min(self.sinks, budget // 2)
