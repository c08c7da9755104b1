"""``lsac``: layer-selective attention caching (arXiv 2606.10046). Stable layers' self-attention maps are frozen.

``fit`` measures convergence on calibration items; a preset turns it into a plan, layer -> flow time from which the map
is reused. What the paper's presets are is not known; these are ours: ``safe`` freezes stable layers half-way,
``balanced`` at a quarter of the flow, ``aggressive`` in addition the calmer half of the fast layers at three quarters,
``budget`` the (layer, time) choices of least summed drift until a share ``x`` of all maps is saved. Plans are in flow
time, so they outlive a change of solver and steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np

from otoscope.core.errors import InputError, UsageError
from otoscope.core.sites import SiteMap
from otoscope.interventions.convergence import Convergence, classify, layer_drift, rank_calm
from otoscope.interventions.hooks import Action
from otoscope.interventions.maps import freeze_actions
from otoscope.interventions.profiled import Profiled, read_json
from otoscope.interventions.shown import PlanTable
from otoscope.interventions.tally import Tally

PRESETS = ("safe", "balanced", "aggressive", "budget")
Plan = Mapping[int, float]


@dataclass(frozen=True)
class Lsac(Profiled):
    """``plan``: a JSON file ``{"freeze": {"3": 0.25}}``, which needs no profile; else a ``preset``, with ``x`` for
    ``budget``."""

    name: ClassVar[str] = "lsac"
    preset: Literal["safe", "balanced", "aggressive", "budget"] = "balanced"
    x: float | None = None
    plan: str | None = None

    def __post_init__(self) -> None:
        if self.preset not in PRESETS:
            raise UsageError(f"there is no preset={self.preset}", where=self.name, fix=f"Use {', '.join(PRESETS)}.")
        if (self.preset == "budget") != (self.x is not None):
            raise UsageError("preset=budget, and it alone, needs x=SHARE", where=self.name)
        share = isinstance(self.x, int | float) and 0 < self.x < 1
        if self.x is not None and not share:
            raise UsageError(f"x={self.x} is no share between 0 and 1", where=self.name)
        if not isinstance(self.plan, str | None):
            raise UsageError(f"plan={self.plan} names no file", where=self.name)
        if self.plan is not None and self.profile is not None:
            raise UsageError("plan and profile exclude each other", where=self.name)

    @property
    def needs_fit(self) -> bool:
        return self.plan is None and super().needs_fit

    def identity(self) -> Mapping[str, Any]:
        own = dict(super().identity())
        if plan := own.pop("plan"):
            own |= {"preset": None, "given": read_json(plan)}
        return own

    @cached_property
    def freeze(self) -> Plan:
        """Layer -> flow time. Raises :class:`UsageError` where nothing was fitted."""
        return read_plan(self.plan) if self.plan is not None else make_plan(self.convergence(), self.preset, self.x)

    def plan_table(self) -> PlanTable:
        if self.needs_fit:
            return (), ()
        return ("layer", "map frozen from flow time"), sorted(self.freeze.items())

    def actions(self, model: Any, sites: SiteMap, tally: Tally) -> Sequence[Action]:
        return freeze_actions(sites, tally, self.freeze)


def make_plan(found: Convergence, preset: str, x: float | None = None) -> dict[int, float]:
    """A preset's plan for a measured profile."""
    if preset == "budget":
        assert x is not None
        return _budget(found, x)
    sorted_out = classify(found)
    plan = dict.fromkeys(sorted_out.stable, 0.5 if preset == "safe" else 0.25)
    if preset == "aggressive":
        fast = [i for i in range(found.entropy.shape[2]) if i not in plan]
        calm = rank_calm(found, fast, 0.75)
        plan |= dict.fromkeys(calm[: len(fast) // 2], 0.75)
    return dict(sorted(plan.items()))


def _budget(found: Convergence, x: float) -> dict[int, float]:
    """Freeze earlier, one evaluation of one layer at a time, where that adds least drift, until enough is saved. The
    cost of freezing at an evaluation is the drift between its map and the next one."""
    drift = layer_drift(found)
    n, layers = drift.shape
    start = [n - 1] * layers  # the last evaluation: nothing is reused after it
    wanted = int(np.ceil(x * n * layers))
    for _ in range(wanted):
        open_layers = [i for i in range(layers) if start[i] > 0]
        if not open_layers:
            top = (n - 1) / n
            raise UsageError(f"a share of {x:g} cannot be saved: {top:.3g} is all there is", where="lsac")
        best = min(open_layers, key=lambda i: (float(drift[start[i], i]), i))
        start[best] -= 1
    return {i: float(found.times[s]) for i, s in enumerate(start) if s < n - 1}


def read_plan(path: str) -> dict[int, float]:
    """``{"freeze": {LAYER: FLOW TIME}}`` of a JSON file. Raises :class:`InputError`."""
    data = read_json(path)
    try:
        plan = {int(k): float(v) for k, v in data["freeze"].items()}
    except (KeyError, TypeError, AttributeError, ValueError) as e:
        raise InputError(f"is no plan: {e}", where=path, fix='Write {"freeze": {"3": 0.25}}.') from e
    if bad := [v for v in plan.values() if not 0 <= v <= 1]:
        raise InputError(f"{bad[0]} is no flow time", where=path, fix="Flow times lie in [0, 1].")
    return plan
