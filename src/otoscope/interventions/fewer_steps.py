"""``fewer-steps``: the plainest rival of any caching. Fewer solver steps, re-spaced over the whole flow, or stopped
early. The study's "truncation" (arXiv 2606.10046) could be either, so both are defined here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from otoscope.core.errors import UsageError
from otoscope.core.sites import SiteMap
from otoscope.interventions.acting import Acting
from otoscope.interventions.hooks import Action, Change, places
from otoscope.interventions.tally import Tally


@dataclass(frozen=True)
class FewerSteps(Acting):
    """``steps`` instead of the model's own number. ``respaced``: equal steps from 0 to 1; ``truncated``: the first
    ``steps`` of the model's own grid, so that the state stays short of the end."""

    name: ClassVar[str] = "fewer-steps"
    steps: int = 12
    how: Literal["respaced", "truncated"] = "respaced"

    def __post_init__(self) -> None:
        if isinstance(self.steps, bool) or not isinstance(self.steps, int) or self.steps < 1:
            raise UsageError(f"steps={self.steps} is not a whole number from 1", where=self.name)
        if self.how not in ("respaced", "truncated"):
            raise UsageError(f"how={self.how} is neither respaced nor truncated", where=self.name)

    def actions(self, model: Any, sites: SiteMap, tally: Tally) -> Sequence[Action]:
        def fewer(grid: Tensor) -> Tensor:
            steps = len(grid) - 1
            if self.steps > steps and self.how == "truncated":
                raise UsageError(f"the solve has {steps} steps, so it cannot stop after {self.steps}", where=self.name)
            tally.kept_share = self.steps / steps
            if self.how == "truncated":
                return grid[: self.steps + 1]
            return torch.linspace(float(grid[0]), float(grid[-1]), self.steps + 1, dtype=grid.dtype, device=grid.device)

        return [Change(places(sites, "schedule")[0], fewer)]
