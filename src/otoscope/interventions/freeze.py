"""``freeze``: causal freezing of chosen layers' self-attention maps from a flow time on (arXiv 2606.10046's probe).

``freeze-group`` freezes the layers that a convergence profile calls stable, or those that it calls fast: the study's
pair, whose difference says whether early convergence means that a layer's later maps are not needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from otoscope.core.errors import UsageError
from otoscope.core.sites import SiteMap
from otoscope.interventions.acting import Acting, check_times, layer_list
from otoscope.interventions.convergence import classify
from otoscope.interventions.hooks import Action, places
from otoscope.interventions.maps import freeze_actions
from otoscope.interventions.profiled import Profiled
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


@dataclass(frozen=True)
class FreezeGroup(Profiled):
    """``group``: stable or fast layers, by :func:`~otoscope.interventions.convergence.classify`; their maps are kept
    from flow time ``start`` on."""

    name: ClassVar[str] = "freeze-group"
    group: Literal["stable", "fast"] = "stable"
    start: float = 0.25

    def __post_init__(self) -> None:
        if self.group not in ("stable", "fast"):
            raise UsageError(f"group={self.group} is neither stable nor fast", where=self.name)
        check_times(self.start, 1.0, self.name)

    def actions(self, model: Any, sites: SiteMap, tally: Tally) -> Sequence[Action]:
        stable = set(classify(self.convergence()).stable)
        wanted = [layer for layer in range(sites.n_layers) if (layer in stable) == (self.group == "stable")]
        return freeze_actions(sites, tally, dict.fromkeys(wanted, self.start))
