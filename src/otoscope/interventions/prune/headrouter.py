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

from otoscope.core.errors import UsageError
from otoscope.core.nouns import Prompt
from otoscope.core.sites import SiteMap
from otoscope.interventions.hooks import Action
from otoscope.interventions.prune.engine import Pruned, Row
from otoscope.interventions.prune.headstats import HeadStats, Rows, head_stats
from otoscope.interventions.prune.probing import watch_projections
from otoscope.interventions.prune.pruner import Pruner
from otoscope.interventions.prune.routing import ACOUSTIC, MIXED, SEMANTIC, Profile, Routed, Shape, build, route

Weights = Literal["routed", "hard", "uniform", "semantic", "acoustic", "mixed", "shuffled"]
Transform = Literal["none", "rank", "zscore"]


@dataclass(frozen=True)
class HeadRouter(Pruner):
    """``profile``: a JSON file (:func:`fit_profile` writes what goes in); without one it is fitted in a run that names
    ``fit_on``, and elsewhere all heads weigh the same, with a warning. Ablations: ``weights`` (``hard`` takes the
    nearest family's, ``shuffled`` permutes the routed ones by ``seed``; an oracle is the family's own name), ``rope``,
    ``rows``, and ``transform`` of each head's map before the sum, because one very peaked head can outvote all
    others."""

    name: ClassVar[str] = "headrouter"
    profile: str | None = None
    weights: Weights = "routed"
    rope: bool = False
    rows: Rows = "all"
    transform: Transform = "none"
    seed: int = 0
    learned_: Mapping[str, Any] | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        for value, known in ((self.weights, Weights), (self.rows, Rows), (self.transform, Transform)):
            if value not in get_args(known):
                raise UsageError(f"{value!r} is not one of {', '.join(get_args(known))}", where=self.name)

    def identity(self) -> Mapping[str, Any]:
        own = {k: v for k, v in super().identity().items() if k not in ("profile", "learned_")}
        return own | {"given": None if self.heads is None else self.heads.to_json()}

    @property
    def needs_fit(self) -> bool:
        """In a run its profile is fitted on calibration items, unless a file is named or none is needed."""
        return self.heads is None and self.weights != "uniform"

    def learns(self) -> Mapping[str, Any]:
        return {"class": "head-profile", "version": 1, "layer": self.layer, "rope": self.rope, "rows": self.rows}

    def learn(self, model: Any, calls: Sequence[Callable[[], Any]]) -> dict[str, Any]:
        """A statistic profile from calibration items whose tasks say that they are semantic or acoustic."""
        method = _Probe(keep=1.0, layer=self.layer, weights="uniform", rope=self.rope, rows=self.rows)
        observed: dict[str, list[tuple[Any, Any]]] = {}
        with method.on(model):
            for call in calls:
                call()
                found = [(s.selectivity, s.responsiveness) for s in method.seen]
                pairs = [tuple(x.double().cpu().numpy() for x in both) for both in found]
                observed.setdefault(getattr(call, "domain", None) or MIXED, []).extend(pairs)  # type: ignore[arg-type]
                method.seen.clear()
        counts = {name: len(items) for name, items in observed.items()}
        about = {"kind": "statistic", "model": dict(model.identity()), "n_prompts": counts}
        return build(observed, shape_of(model, self.layer), about).to_json()

    def given(self, learned: Mapping[str, Any] | Profile) -> HeadRouter:
        """This method with a profile in memory."""
        return replace(self, learned_=learned.to_json() if isinstance(learned, Profile) else learned)

    @cached_property
    def heads(self) -> Profile | None:
        """The profile, if there is one."""
        if self.learned_ is not None:
            return Profile.from_json(self.learned_)
        return None if self.profile is None else Profile.read(self.profile)

    def watching(self, sites: SiteMap, watched: dict[str, Tensor]) -> list[Action]:
        return watch_projections(sites, self.layer - 1, watched)

    def scored(self, row: Row) -> tuple[Tensor, Mapping[str, float]]:
        found = self.stats(row)
        weights, told = self._weigh(found)
        return (weights[:, None] * transformed(found.received, self.transform)).sum(0), told

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
        if self.weights == "uniform" or (routed.far and self.weights in ("routed", "hard", "shuffled")):
            return uniform, told
        chosen = self._chosen(self.heads, routed)
        if self.weights == "shuffled":
            chosen = np.random.default_rng(self.seed).permutation(chosen)
        return torch.as_tensor(chosen, dtype=torch.float32, device=uniform.device), told

    def _chosen(self, profile: Profile, routed: Routed) -> Any:
        by = {k: np.asarray(w) for k, w in profile.weights.items()}
        if self.weights in (SEMANTIC, ACOUSTIC, MIXED):
            return by[self.weights]
        if self.weights == "hard":
            return by[routed.nearest]
        return sum(a * by[k] for k, a in routed.alpha.items())

    @contextmanager
    def on(self, model: Any) -> Iterator[Pruned]:
        notes = []
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


@dataclass(frozen=True)
class _Probe(HeadRouter):
    """Keeps everything, and what each prompt's heads do."""

    seen: list[HeadStats] = field(default_factory=list, compare=False)

    def stats(self, row: Row) -> HeadStats:
        self.seen.append(super().stats(row))
        return self.seen[-1]


def probe(model: Any, prompts: Sequence[Prompt], layer: int = 2, **how: Any) -> list[HeadStats]:
    """What the heads below ``layer`` do on each of ``prompts``, asked one by one for one token."""
    method = _Probe(keep=1.0, layer=layer, weights="uniform", **how)
    with method.on(model):
        for prompt in prompts:
            model.generate([prompt], 1)
    return method.seen


def fit_profile(
    model: Any, families: Mapping[str, Sequence[Prompt]], layer: int = 2, about: Mapping[str, Any] | None = None
) -> Profile:
    """A statistic profile of ``model`` from calibration prompts by family (``semantic``, ``acoustic``, optionally
    ``mixed``), which must not be among those it is tested on. Raises :class:`InputError` where a family lacks any."""
    observed = {
        name: [(s.selectivity.double().cpu().numpy(), s.responsiveness.double().cpu().numpy()) for s in found]
        for name, prompts in families.items()
        for found in [probe(model, prompts, layer)]
    }
    told = {
        "kind": "statistic",
        "model": dict(model.identity()),
        "n_prompts": {name: len(prompts) for name, prompts in families.items()},
        **(about or {}),
    }
    return build(observed, shape_of(model, layer), told)
