"""What one evaluation of a network costs, by part: the common currency of methods that leave something out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True)
class EvaluationCost:
    """Floating-point operations (a multiply-add is two) of one evaluation at batch 1. Per layer: ``self_attention``
    whole, ``attention_map``, its part that only serves the map (query and key projections, their product),
    ``cross_attention``, ``feed_forward``. ``rest``: everything outside the layers."""

    layers: int
    self_attention: float
    attention_map: float
    cross_attention: float
    feed_forward: float
    rest: float

    @property
    def layer(self) -> float:
        return self.self_attention + self.cross_attention + self.feed_forward

    @property
    def total(self) -> float:
        return self.layers * self.layer + self.rest


@runtime_checkable
class Costed(Protocol):
    """A model that knows what an evaluation over ``frames`` frames with ``tokens`` tokens of text costs."""

    def cost(self, frames: int, tokens: int) -> EvaluationCost: ...
