"""``evict/snapkv``: what the end of the prompt attends to (SnapKV, arXiv 2404.14469).

Attention of the last ``window`` queries to each earlier key, averaged over them, smoothed along time by average pooling
over ``kernel`` tokens (neighbours of what matters stay as well), and averaged over the heads that share keys. The
window itself stays. (The authors' code sums over the window; the benchmark's port averages, and ranks alike.) While
answering, the window is the latest ``window`` tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from otoscope.core.errors import UsageError
from otoscope.interventions.evict.evictor import Evictor, Held, Watches
from otoscope.interventions.evict.rows import attention, by_group
from otoscope.interventions.prune.budget import check_count


@dataclass(frozen=True)
class SnapKV(Evictor):
    """``window`` (64) and an odd ``kernel`` (5), as in the benchmark. A prompt that is no longer than the window is
    judged by its last half (ours)."""

    name: ClassVar[str] = "evict/snapkv"
    watches: ClassVar[Watches] = "met"
    window: int = 64
    kernel: int = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count(self.window, "window", self.name)
        check_count(self.kernel, "kernel", self.name)
        if self.kernel % 2 == 0:
            raise UsageError(f"kernel={self.kernel} is even, so it has no middle", where=self.name)

    @property
    def last(self) -> int | None:
        return self.window

    def scores(self, held: Held) -> Tensor:
        window = self._window(held)
        assert held.queries is not None
        received = attention(held, -window).mean(1)
        earlier = held.n - window
        smooth = functional.avg_pool1d(received[:, None, :earlier], self.kernel, 1, self.kernel // 2)[:, 0]
        return functional.pad(by_group(smooth, held), (0, window), value=float("inf"))

    def protected(self, held: Held, budget: int) -> Tensor:
        return torch.arange(held.n, device=held.keys.device) >= held.n - self._window(held)

    def _window(self, held: Held) -> int:
        assert held.queries is not None
        return max(1, min(self.window, held.queries.shape[1], held.n // 2))
