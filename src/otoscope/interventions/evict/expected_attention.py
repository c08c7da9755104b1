"""``evict/expected-attention``: what queries to come will attend to (Devoto et al., arXiv 2510.00636).

Queries before the rotary embedding are taken as Gaussian, with the mean ``m`` and covariance ``C`` of those so far.
With ``R`` the mean rotation of the next ``future`` positions, the expected weight of key ``k`` for a query to come is
proportional to ``exp(k.Rm / sqrt(d) + k' R C R' k / 2d)``. The softmax of the exponent over keys, averaged over the
heads that share keys, times the norm of the value, is the score. The first ``sinks`` tokens are left out of the
statistics, and stay.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from otoscope.core.errors import UsageError
from otoscope.interventions.evict.evictor import Evictor, Held, Watches
from otoscope.interventions.evict.rows import by_group
from otoscope.interventions.prune.budget import check_count
from otoscope.interventions.prune.probing import rotated


@dataclass(frozen=True)
class ExpectedAttention(Evictor):
    """``future`` positions (512) and ``sinks`` (4) as in the authors' implementation. ``covariance`` and ``values``
    turn the second-order term and the norm of the values off."""

    name: ClassVar[str] = "evict/expected-attention"
    watches: ClassVar[Watches] = "projected"
    future: int = 512
    sinks: int = 4
    covariance: bool = True
    values: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count(self.future, "future", self.name)
        if isinstance(self.sinks, bool) or not isinstance(self.sinks, int) or self.sinks < 0:
            raise UsageError(f"sinks={self.sinks} is no number of tokens", where=self.name)

    def scores(self, held: Held) -> Tensor:
        mean, spread = self._statistics(held)
        cos, sin = (x.float().mean(0) for x in held.angles(self.future))
        mean = rotated(mean, (cos, sin))
        keys = held.keys.float()
        wide = keys.repeat_interleave(len(mean) // len(keys), 0)
        exponent = (wide @ mean[..., None])[..., 0] * held.scale
        if self.covariance:
            turned = rotated(rotated(spread, (cos, sin)).mT, (cos, sin)).mT
            exponent = exponent + ((wide @ turned) * wide).sum(-1) * held.scale**2 / 2
        exponent = exponent.masked_fill(self._sinks(held), float("-inf"))
        found = by_group(exponent.softmax(-1), held)
        return found * held.values.float().norm(dim=-1) if self.values else found

    def protected(self, held: Held, budget: int) -> Tensor:
        return self._sinks(held)

    def _sinks(self, held: Held) -> Tensor:
        """At most half of the tokens (ours)."""
        return torch.arange(held.n, device=held.keys.device) < min(self.sinks, held.n // 2)

    def _statistics(self, held: Held) -> tuple[Tensor, Tensor]:
        """Mean ``[H, d]`` and covariance ``[H, d, d]`` of the queries so far. They are merged batch by batch (Chan et
        al. 1983), since queries are not kept."""
        assert held.queries is not None
        new = held.queries.float()
        if not held.memory:
            new = new[:, min(self.sinks, new.shape[1] // 2) :]
        n, mean = new.shape[1], new.mean(1)
        off = new - mean[:, None]
        square = off.mT @ off
        if held.memory:
            m, before, its = held.memory["n"], held.memory["mean"], held.memory["square"]
            step = mean - before
            square = its + square + step[:, :, None] * step[:, None, :] * (m * n / (m + n))
            mean, n = before + step * (n / (m + n)), m + n
        held.memory.update(n=n, mean=mean, square=square)
        return mean, square / n
