"""The methods that the benchmark of LSAC compares, and three ways to find what a solve costs under each.

*Whole solves*: the solve is run. *Evaluations*: a method knows few kinds of evaluation (full, storing a map, reusing),
so one of each is timed and the solve is composed of them. *Layers*: a network of one layer of the published width is
run, layer and remainder are timed apart, and the evaluation of the whole network is composed of them as well: so the
largest network needs no memory for 22 layers. Composed figures are labelled in every table.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
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
    ``kinds(steps)``: a step of each kind of evaluation, rising, and how many of the solve's are like it."""

    name: str
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
        Method("full", lambda layers: NoIntervention(), lambda n: {0: n}),
        Method(
            "lsac, a third of the layers",
            lambda layers: Freeze("+".join(map(str, _third(layers))), FREEZE_AT),
            _freezing,
            lambda layers: len(_third(layers)),
        ),
        Method("lsac, all layers", lambda layers: Freeze(None, FREEZE_AT), _freezing, lambda layers: layers),
        Method("output-reuse, every 2", lambda layers: OutputReuse(2), _alternating, lambda layers: layers),
        Method(
            "block-reuse, every 2",
            lambda layers: BlockReuse(2) if layers > 2 else BlockReuse(2, front=0, back=0),
            _alternating,
            lambda layers: layers - 2,
        ),
        Method(f"fewer-steps, {fewer}", lambda layers: FewerSteps(fewer), lambda n: {0: fewer}),
    )
    return {m.name: m for m in found}


@dataclass(frozen=True)
class Cost:
    """Of one solve: seconds, and operations as a share of the full solve's."""

    took: Took
    flops: float


def by_solve(run: FlowRun, method: Method, layers: int) -> Cost:
    """Of ``method`` in the network of ``run``, which has so many ``layers``."""
    watch = Watch(run.device)
    with method.make(layers).on(run) as tally:
        took = watch.took(run.solve)
        return Cost(took, 1 - _saved(tally))


def by_evaluation(run: FlowRun, method: Method, layers: int) -> Cost:
    """The same, composed of evaluations."""
    took, flops = Took(), 0.0
    for kind in _evaluated(run, method):
        took += kind.took.times(kind.count)
        flops += kind.count * (1 - kind.saved)
    return Cost(took, flops / run.steps)


def by_layer(run: FlowRun, method: Method, layers: int) -> Cost:
    """The same for a network of ``layers`` of which ``run`` has one. The first kind of evaluation is a full one, so its
    layer stands for those in which nobody acts."""
    one, whole, flops, acts = run.cost(run.frames, TOKENS), Took(), 0.0, method.acts(layers)
    total, kinds = one.rest + layers * one.layer, _evaluated(run, method)
    for kind in kinds:
        rest = kind.took + kind.layer.times(-1)
        whole += (rest + kind.layer.times(acts) + kinds[0].layer.times(layers - acts)).times(kind.count)
        flops += kind.count * (1 - acts * kind.saved * one.total / total)
    return Cost(whole, flops / run.steps)


@dataclass(frozen=True)
class _Kind:
    """One kind of evaluation: how many there are, seconds, share of operations saved, the first layer's seconds."""

    count: int
    took: Took
    saved: float
    layer: Took


def _evaluated(run: FlowRun, method: Method) -> list[_Kind]:
    watch, inner = Watch(run.device), Watch(run.device)
    layers, found = list[Took](), list[_Kind]()
    first = run.network.transformer.layers[0]
    hooks = [
        first.register_forward_pre_hook(lambda *_: inner.start()),
        first.register_forward_hook(lambda *_: layers.append(inner.stop())),
    ]
    try:
        with method.make(run.config.layers).on(run) as tally:
            evaluate = run.evaluations()
            _saved(tally)  # what a shorter schedule saves is in the counts of the kinds
            for step, count in method.kinds(run.steps).items():
                took = watch.took(lambda step=step: evaluate(step))
                found.append(_Kind(count, took, _saved(tally), layers[-1]))
    finally:
        for hook in hooks:
            hook.remove()
    return found


def _saved(tally: Any) -> float:
    return 0.0 if tally is None else dict(tally.drain()).get("saved_flops", 0.0)
