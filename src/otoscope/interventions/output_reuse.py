"""``output-reuse``: attention outputs are computed on every n-th step and taken over between (after Pyramid Attention
Broadcast, arXiv 2408.12588, and FORA, arXiv 2407.01425; per layer, a static interval, within a stretch of flow time).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from otoscope.core import clock
from otoscope.core.errors import UsageError
from otoscope.core.sites import Place, SiteMap
from otoscope.interventions.acting import Acting, check_times, layer_list
from otoscope.interventions.hooks import Action, Observe, Skip, places
from otoscope.interventions.reuse import Interval, check_every
from otoscope.interventions.tally import Tally


@dataclass(frozen=True)
class OutputReuse(Acting):
    """``which``: self, cross, or both attentions of ``layers`` (none: all)."""

    name: ClassVar[str] = "output-reuse"
    every: int = 2
    which: Literal["self", "cross", "both"] = "self"
    layers: str | int | None = None
    start: float = 0.0
    end: float = 1.0

    def __post_init__(self) -> None:
        check_every(self.every, self.name)
        if self.which not in ("self", "cross", "both"):
            raise UsageError(f"which={self.which} is none of self, cross, both", where=self.name)
        layer_list(self.layers, self.name)
        check_times(self.start, self.end, self.name)

    def actions(self, model: Any, sites: SiteMap, tally: Tally) -> Sequence[Action]:
        interval = Interval(self.every, self.start, self.end)
        kinds = ("self", "cross") if self.which == "both" else (self.which,)
        wanted = [(k, p) for k in kinds for p in places(sites, f"{k}_attn_out", layer_list(self.layers, self.name))]
        return [a for kind, place in wanted for a in _one(place, kind, interval, tally)]


def _one(place: Place, kind: str, interval: Interval, tally: Tally) -> list[Action]:
    what = str(place)

    def take(*_: Any) -> Any:
        (tally.attention_skipped if kind == "self" else tally.cross_skipped)()
        return interval.kept(clock.now(), what)

    return [
        Skip(place, take, lambda tick: interval.reuses(tick, what)),
        Observe(place, lambda value: interval.keep(clock.now(), what, value)),
    ]
