"""The methods that the benchmark of LSAC compares, and three ways to find what a solve costs under each.

*Whole solves*: the solve is run. *Evaluations*: a method knows few kinds of evaluation (full, storing a map, reusing),
so one of each is timed and the solve is composed of them. *Layers*: a network of one layer of the published width is
run, layer and remainder are timed apart, and the evaluation of the whole network is composed of them as well: so the
largest network needs no memory for 22 layers. Composed figures are labelled in every table.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flow_runs import TOKENS, FlowRun, Took, Watch
from otoscope.core.nouns import Intervention
from otoscope.interventions.block_reuse import BlockReuse
from otoscope.interventions.fewer_steps import FewerSteps
from otoscope.interventions.freeze import Freeze
from otoscope.interventions.none import NoIntervention
from otoscope.interventions.output_reuse import OutputReuse

FREEZE_AT = 0.25


@dataclass(frozen=True)
class Method:
    """``make(layers)`` for a network of so many, acting in ``acts(layers)`` of them and, where there is one, in it.
    ``kinds(steps)``: a step of each kind of evaluation, rising, and how many of the solve's are like it. Methods of one
    ``kin`` do the same to the layers in which they act; the kin ``full`` does nothing to an evaluation."""

    name: str
    kin: str
    make: Callable[[int], Intervention]
    kinds: Callable[[int], Mapping[int, int]]
    acts: Callable[[int], int] = lambda layers: 0


def _third(layers: int) -> list[int]:
    return list(range(1, layers, 3)) if layers > 1 else [0]


def _freezing(steps: int) -> dict[int, int]:
    first = math.ceil(FREEZE_AT * steps)
    return {0: first, first: 1, first + 1: steps - first - 1}


def _alternating(steps: int) -> dict[int, int]:
    return {0: math.ceil(steps / 2), 1: steps // 2}


def methods(steps: int) -> dict[str, Method]:
    """By name. LSAC under a fixed plan is ``freeze`` on the layers of the plan: the same actions."""
    fewer = 3 * steps // 4
    found = (
        Method("full", "full", lambda layers: NoIntervention(), lambda n: {0: n}),
        Method(
            "lsac, a third of the layers",
            "lsac",
            lambda layers: Freeze("+".join(map(str, _third(layers))), FREEZE_AT),
            _freezing,
            lambda layers: len(_third(layers)),
        ),
        Method("lsac, all layers", "lsac", lambda layers: Freeze(None, FREEZE_AT), _freezing, lambda layers: layers),
        Method("output-reuse, every 2", "output", lambda layers: OutputReuse(2), _alternating, lambda layers: layers),
        Method(
            "block-reuse, every 2",
            "block",
            lambda layers: BlockReuse(2) if layers > 2 else BlockReuse(2, front=0, back=0),
            _alternating,
            lambda layers: layers - 2,
        ),
        Method(f"fewer-steps, {fewer}", "full", lambda layers: FewerSteps(fewer), lambda n: {0: fewer}),
    )
    return {m.name: m for m in found}


@dataclass(frozen=True)
class Cost:
    """Of one solve: what its parts take (the kinds of evaluation, times their number), and operations as a share of the
    full solve's."""

    parts: tuple[Took, ...]
    flops: float

    @property
    def took(self) -> Took:
        return sum(self.parts, Took())


def by_solve(run: FlowRun, turns: Sequence[Method], layers: int) -> dict[str, Cost]:
    """Of each method, in turn, in the network of ``run``, which has so many ``layers``."""
    watch, found = Watch(run.device), dict[str, Cost]()
    for method in turns:
        with method.make(layers).on(run) as tally:
            took = watch.took(run.solve)
            found[method.name] = Cost((took,), 1 - _saved(tally))
    return found


def by_evaluation(run: FlowRun, turns: Sequence[Method], layers: int) -> dict[str, Cost]:
    """The same, composed of evaluations of ``run``, which has so many ``layers``, or one that stands for all."""
    known: dict[str, list[_Kind]] = {}
    found: dict[str, Cost] = {}
    for method in turns:
        shared = method.kin if run.config.layers == 1 or method.kin == "full" else method.name
        if shared not in known:
            known[shared] = _evaluated(run, method)
        found[method.name] = _composed(run, method, known[shared], layers)
    return found


@dataclass(frozen=True)
class _Kind:
    """One kind of evaluation: seconds, the first layer's seconds, operations saved."""

    took: Took
    layer: Took
    saved: float


def _composed(run: FlowRun, method: Method, kinds: Sequence[_Kind], layers: int) -> Cost:
    one, parts, saved = run.cost(run.frames, TOKENS), list[Took](), 0.0
    total, counts = one.rest + layers * one.layer, list(method.kinds(run.steps).values())
    acts = method.acts(layers) if run.config.layers == 1 else 1  # how often a saving of ``run`` counts
    for kind, count in zip(kinds, counts, strict=True):
        took = kind.took
        if run.config.layers == 1:  # the first kind is a full evaluation: its layer stands for those nobody acts in
            took += kind.layer.times(acts - 1) + kinds[0].layer.times(layers - acts)
        parts.append(took.times(count))
        saved += count * acts * kind.saved
    return Cost(tuple(parts), (sum(counts) - saved / total) / run.steps)


def _evaluated(run: FlowRun, method: Method) -> list[_Kind]:
    """One evaluation of each kind, after one that is not counted: the first in a context finds memory cold."""
    watch, inner = Watch(run.device), Watch(run.device)
    layers, found = list[Took](), list[_Kind]()
    first, operations = run.network.transformer.layers[0], run.cost(run.frames, TOKENS).total
    hooks = [
        first.register_forward_pre_hook(lambda *_: inner.start()),
        first.register_forward_hook(lambda *_: layers.append(inner.stop())),
    ]
    try:
        with method.make(run.config.layers).on(run) as tally:
            evaluate, steps = run.evaluations(), list(method.kinds(run.steps))
            evaluate(steps[0])
            _saved(tally)  # what a shorter schedule saves is in the counts of the kinds
            for step in steps:
                took = watch.took(lambda step=step: evaluate(step))
                found.append(_Kind(took, layers[-1], _saved(tally) * operations))
    finally:
        for hook in hooks:
            hook.remove()
    return found


def _saved(tally: Any) -> float:
    return 0.0 if tally is None else dict(tally.drain()).get("saved_flops", 0.0)
