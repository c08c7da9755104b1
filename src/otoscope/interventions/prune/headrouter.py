"""``headrouter``: head-importance-aware pruning (arXiv 2604.23717, as its fact sheet reads it; no code was published).

Each input probes its own heads in the layer below ``K``: how selectively each hears the sound (:mod:`.headstats`). That
routes it softly between head-weight profiles for semantic, acoustic and mixed tasks (:mod:`.routing`), and the weighted
sum of what the heads attend to, ``I[j] = sum_h w_h a_h[j]``, is the importance of token ``j``. Queries and keys are
those before the rotary embedding, so that nearness to the text does not count. Defaults marked ours there are ours.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from otoscope.core import clock
from otoscope.core.errors import InputError, UsageError
from otoscope.core.sites import SiteMap
from otoscope.interventions.hooks import Action
from otoscope.interventions.prune.engine import Row
from otoscope.interventions.prune.headstats import HeadStats, Rows, head_stats
from otoscope.interventions.prune.probing import watch_projections
from otoscope.interventions.prune.pruner import Pruner
from otoscope.interventions.prune.report import Pruned
from otoscope.interventions.prune.routing import ACOUSTIC, MIXED, SEMANTIC, Profile, Routed, Shape, route
from otoscope.interventions.shown import PlanTable

Weights = Literal["routed", "hard", "oracle", "uniform", "semantic", "acoustic", "mixed", "shuffled"]
Transform = Literal["none", "rank", "zscore"]
#: Profiles that are fitted, not read from a file.
FITTED = ("statistic", "fidelity")


@dataclass(frozen=True)
class HeadRouter(Pruner):
    """``profile``: a JSON file, or ``statistic`` or ``fidelity``, which a run fits on calibration items (``fit_on``;
    see :mod:`.calibration`); without one a run fits a statistic profile, and elsewhere all heads weigh the same, with a
    warning. Ablations: ``weights`` (``hard`` takes the nearest family's, ``oracle`` those of the family that the task
    says it belongs to, a family's name always those, ``shuffled`` permutes the routed ones by ``seed``), ``rope``,
    ``rows``, and ``transform`` of each head's map before the sum, because one very peaked head can outvote all
    others."""

    name: ClassVar[str] = "headrouter"
    profile: str | None = None
    weights: Weights = "routed"
    rope: bool = False
    rows: Rows = "all"
    transform: Transform | None = "none"
    seed: int = 0
    learned_: Mapping[str, Any] | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.transform is None:  # what a name's ``transform=none`` is read as
            object.__setattr__(self, "transform", "none")
        for value, known in ((self.weights, Weights), (self.rows, Rows), (self.transform, Transform)):
            if value not in get_args(known):
                raise UsageError(f"{value!r} is not one of {', '.join(get_args(known))}", where=self.name)

    def identity(self) -> Mapping[str, Any]:
        own = {k: v for k, v in super().identity().items() if k not in ("profile", "learned_")}
        if self.profile in FITTED:
            return own | {"fitted": self.profile}
        return own | {"given": None if self.heads is None else self.heads.to_json()}

    # --- the profile ---

    @property
    def needs_fit(self) -> bool:
        """In a run its profile is fitted on calibration items, unless a file is named or none is needed."""
        return self.heads is None and self.weights != "uniform"

    def plan_table(self) -> PlanTable:
        """By family: where its inputs lie, and the heads that count most."""
        if self.heads is None:
            return (), ()
        header = ("family", "centre", "heads by weight")
        return header, [
            (name, [round(x, 3) for x in self.heads.centres[name]], np.argsort(weights)[::-1][:4].tolist())
            for name, weights in self.heads.weights.items()
        ]

    @property
    def answer_tokens(self) -> int:
        """So many tokens of a calibration item's answer are enough."""
        from otoscope.interventions.prune.calibration import ANSWER_TOKENS

        return ANSWER_TOKENS if self.profile == "fidelity" else 1

    def learns(self) -> Mapping[str, Any]:
        own = {"class": "head-profile", "version": 1, "kind": self.profile or "statistic", "layer": self.layer}
        own |= {"rows": self.rows, "rope": self.rope}
        if self.profile == "fidelity":
            own |= {"keep": self.keep, "per": self.per, "floor": self.floor}
        return own

    def learn(self, model: Any, calls: Sequence[Callable[[], Any]]) -> dict[str, Any]:
        """The profile over the calibration items. Raises :class:`InputError` where they say no family."""
        from otoscope.interventions.prune.calibration import learn

        kind: Literal["statistic", "fidelity"] = "fidelity" if self.profile == "fidelity" else "statistic"
        return learn(self, model, calls, kind).to_json()

    def given(self, learned: Profile | Mapping[str, Any]) -> HeadRouter:
        """This method with a profile in memory."""
        return replace(self, learned_=learned.to_json() if isinstance(learned, Profile) else learned)

    @cached_property
    def heads(self) -> Profile | None:
        """The profile, if there is one."""
        if self.learned_ is not None:
            return Profile.from_json(self.learned_)
        return None if self.profile is None or self.profile in FITTED else Profile.read(self.profile)

    # --- scores ---

    def watching(self, sites: SiteMap, watched: dict[str, Tensor]) -> list[Action]:
        return watch_projections(sites, self.layer - 1, watched)

    def scored(self, row: Row) -> tuple[Tensor, Mapping[str, float]]:
        found = self.stats(row)
        weights, told = self._weigh(found)
        return (weights[:, None] * transformed(found.received, self.transform or "none")).sum(0), told

    def stats(self, row: Row) -> HeadStats:
        """What each head does with the sound of ``row``."""
        return head_stats(row, self.rows, self.rope)

    def _weigh(self, found: HeadStats) -> tuple[Tensor, dict[str, float]]:
        n = len(found.selectivity)
        selectivity = found.selectivity.double().cpu().numpy()
        told = {"selectivity": float(selectivity.mean()), "responsiveness": float(found.responsiveness.mean())}
        uniform = torch.full((n,), 1 / n, device=found.received.device)
        if self.heads is None:
            return uniform, told
        routed = route(self.heads, selectivity)
        told |= {f"alpha_{k}": a for k, a in routed.alpha.items()}
        told |= {"routing_distance": routed.distance, "far_away": float(routed.far)}
        told |= {f"nearest_{k}": float(k == routed.nearest) for k in routed.alpha}
        family = clock.now().family
        if family is not None and family in routed.alpha:
            told |= {"routed_right": float(family == routed.nearest), "alpha_of_family": routed.alpha[family]}
        if self.weights == "uniform" or (routed.far and self.weights in ("routed", "hard", "shuffled")):
            return uniform, told
        chosen = self._chosen(self.heads, routed)
        if self.weights == "shuffled":
            chosen = np.random.default_rng(self.seed).permutation(chosen)
        return torch.as_tensor(chosen, dtype=torch.float32, device=uniform.device), told

    def _chosen(self, profile: Profile, routed: Routed) -> Any:
        by = {k: np.asarray(w) for k, w in profile.weights.items()}
        if self.weights == "oracle":
            family = clock.now().family
            if family not in by:
                what = f"the oracle knows {', '.join(by)}, and the item's task says {family or 'nothing'}"
                raise InputError(what, where=self.name, fix="Take weights=routed, or a task that says its family.")
            return by[family]
        if self.weights in (SEMANTIC, ACOUSTIC, MIXED):
            return by[self.weights]
        if self.weights == "hard":
            return by[routed.nearest]
        return sum(a * by[k] for k, a in routed.alpha.items())

    @contextmanager
    def on(self, model: Any) -> Iterator[Pruned]:
        notes = []
        if self.profile in FITTED and self.needs_fit:
            fix = "Let an experiment fit it (fit_on), or give a file: profile=PATH."
            raise UsageError(f"its {self.profile} profile has not been fitted", where=self.name, fix=fix)
        if self.heads is not None:
            self.heads.check(shape_of(model, self.layer), self.name)
        elif self.weights != "uniform":
            notes = ["no profile was given, so all heads weigh the same"]
            warnings.warn(f"{self.name}: {notes[0]}; fit one, or name weights=uniform", stacklevel=3)
        with super().on(model) as report:
            report.notes += notes
            yield report


def transformed(received: Tensor, how: Transform) -> Tensor:
    """What each head attends to ``[H, N]``, made comparable: as it is, as ranks from 0 to 1, or as z-scores."""
    if how == "rank":
        return received.argsort(dim=-1, stable=True).argsort(-1).float() / max(1, received.shape[-1] - 1)
    if how == "zscore":
        return (received - received.mean(-1, keepdim=True)) / received.std(-1, keepdim=True).clamp_min(1e-12)
    return received


def shape_of(model: Any, layer: int) -> Shape:
    """What a profile must agree on with ``model``."""
    config = model.network.get_decoder().config
    return Shape(int(config.num_hidden_layers), int(config.num_attention_heads), layer)
