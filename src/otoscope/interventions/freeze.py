"""``freeze``: causal freezing of chosen layers' self-attention maps from a flow time on (arXiv 2606.10046's probe)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from otoscope.core.sites import SiteMap
from otoscope.interventions.acting import Acting, check_times, layer_list
from otoscope.interventions.hooks import Action, places
from otoscope.interventions.maps import freeze_actions
from otoscope.interventions.tally import Tally


@dataclass(frozen=True)
class Freeze(Acting):
    """``layers`` (none: all) keep the map of the first evaluation at flow time ``start`` or later."""

    name: ClassVar[str] = "freeze"
    layers: str | int | None = None
    start: float = 0.25

    def __post_init__(self) -> None:
        layer_list(self.layers, self.name)
        check_times(self.start, 1.0, self.name)

    def actions(self, model: Any, sites: SiteMap, tally: Tally) -> Sequence[Action]:
        wanted = places(sites, "self_attn_map", layer_list(self.layers, self.name))
        return freeze_actions(sites, tally, {int(p.layer or 0): self.start for p in wanted})
