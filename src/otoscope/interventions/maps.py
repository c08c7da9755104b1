"""Reused attention maps: the mechanism behind ``lsac``, ``freeze`` and their placebo.

From its freeze time on, a layer's self-attention uses the map of the first evaluation at or after that time, with
fresh values: ``out = W_o (P_stored V)`` (arXiv 2606.10046, as third parties describe it; fact sheet, section 7). The
queries' and keys' projections, their norms, rotations and product are not computed. A map belongs to one solve, one
shape, dtype and device; a new solve starts clean, also after one that raised half-way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from otoscope.core import clock
from otoscope.core.clock import Tick
from otoscope.core.errors import ModelError
from otoscope.core.sites import Place, SiteMap
from otoscope.interventions.hooks import Action, Observe, Skip, places
from otoscope.interventions.tally import Tally


@dataclass
class _Stored:
    """One layer's map, and the solve, step and stage that it was made in."""

    probabilities: Tensor
    solve: int
    made: tuple[int | None, int | None]


def freeze_actions(sites: SiteMap, tally: Tally, freeze: Mapping[int, float]) -> list[Action]:
    """Actions that reuse the map of layer ``l`` from flow time ``freeze[l]`` on."""
    actions: list[Action] = []
    for layer, time in sorted(freeze.items()):
        frozen = _Frozen(places(sites, "self_attn_map", layer)[0], time, tally)
        actions.append(Observe(frozen.place, frozen.store, frozen.due))
        actions.append(Skip(places(sites, "self_attn_out", layer)[0], frozen.reuse, frozen.ready))
    return actions


class _Frozen:
    """The state of one layer in one context."""

    def __init__(self, place: Place, time: float, tally: Tally) -> None:
        self.place, self.time, self.tally = place, time, tally
        self.stored: _Stored | None = None

    def due(self, tick: Tick) -> bool:
        """The map is to be stored now: its time has come, and this solve has none yet."""
        if tick.time is None or tick.solve is None:
            raise ModelError(
                "a map is reused within one solve, and no solver says which this is",
                fix="Run the network by otoscope's solver.",
            )
        if self.stored is not None and self.stored.solve != tick.solve:
            self.stored = None
        # A millionth of the way allows for a grid in float32.
        return tick.time >= self.time - 1e-6 and self.stored is None

    def store(self, probabilities: Tensor) -> None:
        tick = clock.now()
        assert tick.solve is not None
        self.stored = _Stored(probabilities.detach(), tick.solve, (tick.step, tick.stage))

    def ready(self, tick: Tick) -> bool:
        stored = self.stored
        return stored is not None and stored.solve == tick.solve and stored.made != (tick.step, tick.stage)

    def reuse(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The module's output from the stored map (its ``through(map, memory)``)."""
        assert self.stored is not None
        through = getattr(module, "through", None)
        if through is None:
            raise ModelError(f"{type(module).__name__} cannot be run from a given map: it has no through(map, memory)")
        memory, kept = args[1], self.stored.probabilities
        expected = (memory.shape[0], memory.shape[1], memory.device)
        if (kept.shape[0], kept.shape[-1], kept.device) != expected:
            raise ModelError(f"the shape changed within one solve: a map of {tuple(kept.shape)} for {expected}")
        self.tally.map_reused()
        return through(kept.to(memory.dtype), memory)
