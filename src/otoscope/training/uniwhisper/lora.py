"""Low-rank adaptation of a frozen decoder (E. J. Hu et al., arXiv 2106.09685): ``y = W x + (scale / rank) B A x``.

Every linear map of the decoder's layers gets one; the head, which may be tied to the embeddings, gets none. ``B``
begins at zero, so the decoder begins as it was."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from otoscope.core.errors import ModelError, UsageError


class Adapted(nn.Module):
    """A linear map that stands still, ``[..., in] -> [..., out]``, and a learned change of rank ``rank``."""

    def __init__(self, base: nn.Linear, rank: int, scale: float) -> None:
        super().__init__()
        self.base, self.factor = base, scale / rank
        self.down = nn.Parameter(torch.empty(rank, base.in_features))
        self.up = nn.Parameter(torch.zeros(base.out_features, rank))
        nn.init.kaiming_uniform_(self.down, a=5**0.5)

    @property
    def weight(self) -> Tensor:
        """That of the map with its change."""
        return self.base.weight + self.factor * (self.up @ self.down).to(self.base.weight)

    def forward(self, x: Tensor) -> Tensor:
        change = nn.functional.linear(nn.functional.linear(x, self.down.to(x)), self.up.to(x))
        found: Tensor = self.base(x) + self.factor * change
        return found


def with_lora(lm: Any, rank: int = 16, scale: float = 32.0) -> Any:
    """``lm``, frozen, with a change on every linear map but its head. The same object. Raises :class:`UsageError` on a
    rank below 1 and :class:`ModelError` on a model without linear maps."""
    if rank < 1:
        raise UsageError(f"rank={rank} is below 1", where="decoder")
    lm.requires_grad_(False)
    head = lm.get_output_embeddings()
    places = [
        (module, name, child)
        for module in lm.modules()
        for name, child in module.named_children()
        if isinstance(child, nn.Linear) and child is not head
    ]
    if not places:
        raise ModelError("has no linear maps that could be adapted", where=type(lm).__name__)
    for module, name, child in places:
        setattr(module, name, Adapted(child, rank, scale))
    return lm
