"""What the intervention engine costs by itself: nothing entered, and hooks that only look, on every layer.

Two measures. Pairs of evaluations of the real network with and without hooks, in turn, give the ratio of processor time
as it is felt; it is known no better than the machine repeats itself. The engine's own work does not depend on the
width, so it is also timed in a narrow network with as many layers, where it shows, and given as a share of the real
evaluation: a lower bound, because between the products of a wide network Python's own code leaves the caches.
``nothing entered`` also checks that every module is called exactly as it is without.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

from torch import nn
from torch.nn import functional

from flow_runs import FlowRun, Watch
from otoscope.interventions.hooks import Observe, hooked, places
from otoscope.interventions.none import NoIntervention

#: Sites of each case: after every layer; at every attention and feed-forward as well; and within every attention.
CASES: dict[str, tuple[str, ...]] = {
    "nothing entered": (),
    "an observer on every layer": ("block_out",),
    "observers on every module of every layer": ("block_out", "self_attn_out", "cross_attn_out", "ffn_out"),
    "observers within every attention": ("self_q", "self_k", "self_v", "cross_q", "cross_k", "cross_v"),
}
NARROW = {"dim": 64, "heads": 4, "latent": 8, "text_dim": 16, "video_dim": 16, "anchor_dim": 8, "frequencies": 32}


def engine_rows(run: FlowRun, pairs: int) -> list[dict[str, Any]]:
    """A row per case, for the network of ``run``."""
    narrow = FlowRun(replace(run.config, **NARROW), 8, run.steps, run.device, "float32")
    rows = []
    for name, sites in CASES.items():
        if not sites:
            with _entered(run, sites):
                _check_untouched(run.network)
        seen = _pairs(run, sites, pairs)
        few = _pairs(narrow, sites, 20 * pairs)
        own = statistics.median(inside - bare for bare, inside in few)
        whole = statistics.median(bare for bare, _ in seen)
        ratios = [inside / bare for bare, inside in seen]
        rows.append(
            {
                "hooks": name,
                "places": sum(len(places(run.sites, site)) for site in sites),
                "evaluation re bare": statistics.median(ratios),
                "range": f"{min(ratios):.3f} to {max(ratios):.3f}",
                "engine, ms per evaluation": 1e3 * own,
                "engine re evaluation, %": 100 * own / whole,
            }
        )
    return rows


def _entered(run: FlowRun, sites: Sequence[str]) -> AbstractContextManager[Any]:
    if not sites:
        return NoIntervention().on(run)
    wanted = [place for site in sites for place in places(run.sites, site)]
    return hooked(run.network, run.sites, [Observe(place, lambda value: None) for place in wanted])


def _pairs(run: FlowRun, sites: Sequence[str], n: int) -> list[tuple[float, float]]:
    """Seconds of an evaluation, bare and hooked: of the processor, or of the clock where a GPU computes. Which comes
    first changes from pair to pair."""
    watch, evaluate = Watch(run.device), run.evaluations()

    def bare() -> float:
        took = watch.took(lambda: evaluate(0))
        return took.cpu if run.device.type == "cpu" else took.wall

    def inside() -> float:
        with _entered(run, sites):
            return bare()

    bare(), inside()
    both: list[tuple[float, float]] = []
    for i in range(n):
        order: list[Callable[[], float]] = [bare, inside] if i % 2 else [inside, bare]
        took = [call() for call in order]
        both.append((took[0], took[1]) if i % 2 else (took[1], took[0]))
    return both


def _check_untouched(network: nn.Module) -> None:
    """Every module is called through its class's own ``forward``, and PyTorch's attention is PyTorch's."""
    wrapped = [name or "network" for name, m in network.named_modules() if _own(m) is not type(m).forward]
    if functional.scaled_dot_product_attention.__module__ != "torch._C._nn":
        wrapped.append("scaled_dot_product_attention")
    if wrapped:
        raise SystemExit(f"with nothing entered these are wrapped: {', '.join(wrapped)}")


def _own(module: nn.Module) -> Any:
    return getattr(module.forward, "__func__", None)
