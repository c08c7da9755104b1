"""``block-reuse``: the middle blocks run on every n-th step; between, what they added last time is added again.

DeepCache (arXiv 2312.00858) keeps the deep features of a U-Net and recomputes the shallow layers. A transformer has no
such shape, so we define: the first ``front`` and the last ``back`` blocks always run, and on the other steps every
block between adds its stored difference (output less input) to the fresh input, as Delta-DiT does
(arXiv 2406.01125). ``every=2`` is "skip 2".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import nn

from otoscope.core import clock
from otoscope.core.errors import UsageError
from otoscope.core.sites import Place, SiteMap
from otoscope.interventions.acting import Acting, check_times
from otoscope.interventions.hooks import Action, Skip, places
from otoscope.interventions.reuse import Interval, check_every
from otoscope.interventions.tally import Tally


@dataclass(frozen=True)
class BlockReuse(Acting):
    """See the module. Raises :class:`UsageError` where no block is left between front and back."""

    name: ClassVar[str] = "block-reuse"
    every: int = 2
    front: int = 1
    back: int = 1
    start: float = 0.0
    end: float = 1.0

    def __post_init__(self) -> None:
        check_every(self.every, self.name)
        if not all(isinstance(x, int) and not isinstance(x, bool) and x >= 0 for x in (self.front, self.back)):
            raise UsageError("front and back are whole numbers from 0", where=self.name)
        check_times(self.start, self.end, self.name)

    def actions(self, model: Any, sites: SiteMap, tally: Tally) -> Sequence[Action]:
        between = list(range(self.front, sites.n_layers - self.back))
        if not between:
            raise UsageError(f"no block is left of {sites.n_layers} between front and back", where=self.name)
        interval = Interval(self.every, self.start, self.end)
        return [_one(place, interval, tally) for place in places(sites, "block_out", between)]


def _one(place: Place, interval: Interval, tally: Tally) -> Action:
    what = str(place)

    def run(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        tick = clock.now()
        if interval.reuses(tick, what):
            tally.block_skipped()
            return args[0] + interval.kept(tick, what)
        out = type(module).forward(module, *args, **kwargs)
        interval.keep(tick, what, out - args[0])
        return out

    return Skip(place, run)
