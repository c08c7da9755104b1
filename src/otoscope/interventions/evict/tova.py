"""``evict/tova``: what the last token attends to (TOVA, arXiv 2401.06104).

Attention of the last query to each key, averaged over all heads of the layer, so that all heads keep the same tokens.
The last token stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from otoscope.interventions.evict.evictor import Evictor, Held, Watches
from otoscope.interventions.evict.rows import attention


@dataclass(frozen=True)
class Tova(Evictor):
    """No parameters of its own."""

    name: ClassVar[str] = "evict/tova"
    watches: ClassVar[Watches] = "met"

    @property
    def last(self) -> int | None:
        return 1

    def scores(self, held: Held) -> Tensor:
        return attention(held, -1)[:, 0].mean(0).expand(held.keys.shape[0], -1)

    def protected(self, held: Held, budget: int) -> Tensor:
        return torch.arange(held.n, device=held.keys.device) == held.n - 1
