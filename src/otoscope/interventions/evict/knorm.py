"""``evict/knorm``: keys of small norm stay (Devoto et al., arXiv 2406.11430): they are those that attention falls on.

The score is ``-|k|``. No query is needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from otoscope.interventions.evict.evictor import Evictor, Held


@dataclass(frozen=True)
class KNorm(Evictor):
    """No parameters of its own."""

    name: ClassVar[str] = "evict/knorm"

    def scores(self, held: Held) -> Tensor:
        return -held.keys.float().norm(dim=-1)
