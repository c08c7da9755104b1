"""``placebo``: LSAC's plan on layers drawn at random. What it loses more than LSAC is what choosing layers is worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from otoscope.audio.binaural import child
from otoscope.core.sites import SiteMap
from otoscope.interventions.acting import check_seed
from otoscope.interventions.hooks import Action
from otoscope.interventions.lsac import Lsac
from otoscope.interventions.maps import freeze_actions
from otoscope.interventions.tally import Tally


@dataclass(frozen=True)
class Placebo(Lsac):
    """The parameters of LSAC, and the ``seed`` of the draw. As many layers, the same freeze times."""

    name: ClassVar[str] = "placebo"
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_seed(self.seed, self.name)

    def actions(self, model: Any, sites: SiteMap, tally: Tally) -> Sequence[Action]:
        layers = child(self.seed, "placebo").permutation(sites.n_layers)
        drawn = {int(layers[k]): time for k, time in enumerate(self.freeze.values())}
        return freeze_actions(sites, tally, drawn)
