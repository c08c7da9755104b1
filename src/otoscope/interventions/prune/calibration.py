"""Profiles of heads, learned from calibration items (HeadRouter, arXiv 2604.23717, as its fact sheet reads it).

Two kinds, both a *reading*. ``statistic``: heads that hear the sound selectively, and hear much of it, weigh more; one
pass of one token per item. ``fidelity``: the sound is pruned by one head alone, and the less the model's next tokens
change, the more that head weighs: ``w_h`` is the softmax over heads of ``-KL_h / tau``, with ``KL_h`` the mean
divergence of the pruned distributions from the whole ones along the family's answers, and ``tau`` its mean over heads
(ours, so that the weights do not depend on the divergence's scale). Distributions are compared as long as both answers
have the same beginning, at least at the first token. That costs a short answer per head and item.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from torch import Tensor

from otoscope.core import clock
from otoscope.core.errors import InputError
from otoscope.interventions.hooks import Observe, hooked
from otoscope.interventions.prune.engine import Row
from otoscope.interventions.prune.headrouter import HeadRouter, shape_of
from otoscope.interventions.prune.headstats import HeadStats
from otoscope.interventions.prune.routing import Floats, Profile, build
from otoscope.interventions.shadow import ROOT

Call = Callable[[], Any]
Kind = Literal["statistic", "fidelity"]
#: Tokens of an answer along which distributions are compared (ours).
ANSWER_TOKENS = 4


@dataclass(frozen=True)
class Probe(HeadRouter):
    """Keeps everything, and what each prompt's heads do."""

    seen: list[HeadStats] = field(default_factory=list, compare=False)

    def stats(self, row: Row) -> HeadStats:
        self.seen.append(super().stats(row))
        return self.seen[-1]


@dataclass(frozen=True)
class OneHead(HeadRouter):
    """Prunes by one head alone."""

    head: int = 0

    def scored(self, row: Row) -> tuple[Tensor, Mapping[str, float]]:
        return self.stats(row).received[self.head], {}


def learn(
    method: HeadRouter, model: Any, calls: Sequence[Call], kind: Kind, families: Sequence[str | None] | None = None
) -> Profile:
    """A profile of ``model`` for ``method``; each of ``calls`` asks one calibration item. Its family is what the clock
    says meanwhile, or the one in ``families``. Raises :class:`InputError` where nobody says it, where a call prompts
    with no sound, or where a family lacks items."""
    probe = Probe(1.0, method.layer, weights="uniform", rope=method.rope, rows=method.rows)
    labels: list[str] = []
    observed: dict[str, list[tuple[Floats, Floats]]] = {}
    divergences: dict[str, list[Floats]] = {}
    for i, call in enumerate(calls):
        said: list[str | None] = []
        probe.seen.clear()
        with probe.on(model), _families(model, said):
            call()
        family = said[0] if families is None and said else None if families is None else families[i]
        if family is None:
            fix = "Fit on tasks that say what they ask for, such as audiomarathon/asr and audiomarathon/sed."
            raise InputError(f"calibration item {i} belongs to no family", where=method.name, fix=fix)
        if not probe.seen:
            raise InputError(f"calibration item {i} has no sound", where=method.name)
        labels.append(family)
        stats = [(s.selectivity.double().cpu().numpy(), s.responsiveness.double().cpu().numpy()) for s in probe.seen]
        observed.setdefault(family, []).extend(stats)
        if kind == "fidelity":
            divergences.setdefault(family, []).append(_per_head(method, model, call))
    about: dict[str, Any] = {
        "kind": kind,
        "model": dict(model.identity()),
        "n_prompts": {name: labels.count(name) for name in sorted(set(labels))},
        "rows": method.rows,
        "rope": method.rope,
    }
    if kind == "fidelity":
        about |= {"keep": method.keep, "answer_tokens": ANSWER_TOKENS}
    weights = {name: fidelity_weights(np.mean(found, axis=0)) for name, found in divergences.items()}
    return build(observed, shape_of(model, method.layer), about, weights=weights or None)


def fidelity_weights(divergence: Floats) -> Floats:
    """Weights ``[H]`` of the heads' mean divergences ``[H]``: softmax of ``-KL / tau``, ``tau`` their mean."""
    tau = float(divergence.mean())
    if tau <= 0:
        return np.full_like(divergence, 1 / len(divergence))
    z = -divergence / tau
    w: Floats = np.exp(z - z.max())
    return w / w.sum()


def _per_head(method: HeadRouter, model: Any, call: Call) -> Floats:
    """The mean divergence of the answer under each head alone ``[H]``."""
    with _distributions(model) as whole:
        call()
    found = []
    for head in range(shape_of(model, method.layer).heads):
        alone = OneHead(
            method.keep, method.layer, method.per, method.floor, rope=method.rope, rows=method.rows, head=head,
            weights="uniform",
        )  # fmt: skip
        with alone.on(model), _distributions(model) as pruned:
            call()
        found.append(divergence(whole, pruned))
    return np.array(found)


def divergence(whole: Sequence[Tensor], pruned: Sequence[Tensor]) -> float:
    """Mean ``KL(whole || pruned)`` of log-probabilities ``[V]`` step by step, while greedy answers agree."""
    found = []
    for p, q in zip(whole, pruned, strict=False):
        found.append(float((p.exp() * (p - q)).sum()))
        if int(p.argmax()) != int(q.argmax()):
            break
    return float(np.mean(found))


@contextmanager
def _distributions(model: Any) -> Iterator[list[Tensor]]:
    """The log-probabilities ``[V]`` of every next token of a single answer."""
    found: list[Tensor] = []

    def see(output: Any) -> None:
        if len(found) < ANSWER_TOKENS:
            found.append(output.logits[0, -1].double().log_softmax(-1).cpu())

    with hooked(model.network, model.sites, [Observe(ROOT, see)]):
        yield found


@contextmanager
def _families(model: Any, said: list[str | None]) -> Iterator[None]:
    """What the clock says of the family, at every pass of the network."""
    with hooked(model.network, model.sites, [Observe(ROOT, lambda output: said.append(clock.now().family))]):
        yield


def probe(model: Any, prompts: Sequence[Any], layer: int = 2, **how: Any) -> list[HeadStats]:
    """What the heads below ``layer`` do on each of ``prompts``, asked one by one for one token."""
    method = Probe(keep=1.0, layer=layer, weights="uniform", **how)
    with method.on(model):
        for one in prompts:
            model.generate([one], 1)
    return method.seen


def fit_profile(
    model: Any,
    families: Mapping[str, Sequence[Any]],
    layer: int = 2,
    about: Mapping[str, Any] | None = None,
    kind: Kind = "statistic",
    **how: Any,
) -> Profile:
    """A profile of ``model`` from calibration prompts by family (``semantic``, ``acoustic``, optionally ``mixed``),
    which must not be among those it is tested on. ``how``: parameters of :class:`HeadRouter` (``keep`` of a fidelity
    profile, ``rows``, ``rope``). Raises :class:`InputError` where a family lacks any."""
    tokens = 1 if kind == "statistic" else ANSWER_TOKENS
    asked = [(name, one) for name, prompts in families.items() for one in prompts]
    calls = [lambda one=one: model.generate([one], tokens) for _, one in asked]
    method = HeadRouter(layer=layer, weights="uniform", **how)
    found = learn(method, model, calls, kind, [name for name, _ in asked])
    return Profile.from_json({**found.to_json(), "about": {**found.about, **(about or {})}})
