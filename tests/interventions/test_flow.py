"""Interventions on a whole flow: equalities that must hold whatever the weights, under both solvers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from otoscope.core.audio import Audio
from otoscope.core.errors import ModelError, UsageError
from otoscope.core.nouns import Span, StemPrompt
from otoscope.core.registry import load_from_file
from otoscope.interventions.catalogue import resolve_intervention, split
from otoscope.interventions.hooks import Change, Observe, Skip, hooked, places
from otoscope.interventions.tally import Tally

Small = load_from_file(f"file:{Path(__file__).parent / 'small.py'}#Small")
SOUND = Audio((0.1 * np.random.default_rng(0).standard_normal((1, 600))).astype(np.float32), 8_000)
Run = Callable[..., tuple[np.ndarray, int, dict[str, float]]]


@pytest.fixture(scope="module", params=["euler", "midpoint"])
def separator(request):
    torch.set_num_threads(1)
    return Small(request.param)


@pytest.fixture
def run(separator, untouched) -> Run:
    """Latents, evaluations and report of one solve under an intervention."""
    untouched(separator.network)

    def go(intervention: str = "none", prompt: str = "dog barking", seed: int = 3, spans: tuple[Span, ...] = ()):
        with resolve_intervention(intervention).on(separator) as report:
            stems = separator.separate([SOUND], [StemPrompt(prompt, spans)], [seed])[0]
            done = {} if report is None else dict(report.drain())
        return stems.latents, stems.evaluations, done

    return go


def far(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a - b).max())


def test_what_changes_nothing(run) -> None:
    bare, n, _ = run()
    for same in (
        "freeze:start=0.99", "swap-prompt:prompt=dog barking", "gate:gamma=0.5",
        "restore:site=memory_embedded,prompt=someone speaking",
        "ablate:site=cross_attn_out,kind=resample,prompt=dog barking", "split-prompt:prompt=dog barking",
        "fewer-steps:steps=8", "output-reuse:start=0.99", "block-reuse:start=0.99",
    ):  # fmt: skip
        latents, calls, _ = run(same)
        assert far(latents, bare) <= 1e-6, same
        assert calls == n
    assert np.array_equal(run()[0], bare)


def test_the_text_pathways(run) -> None:
    silent, _, _ = run(prompt="")
    bare, _, _ = run()
    # Zeros instead of the projected text are the memory of no text, as is no text.
    assert far(run("ablate:site=text_memory")[0], silent) <= 2e-6
    assert far(run("swap-prompt")[0], silent) == 0.0
    # Without cross-attention nothing of the text is left, and the time's part is gone with it.
    off, _, _ = run("ablate:site=cross_attn_out")
    assert far(run("ablate:site=cross_attn_out", prompt="rain")[0], off) == 0.0
    assert far(off, silent) > 1e-3
    # Less what the time alone gives, cross-attention to no text is nothing at all.
    assert far(run("minus-text-free", prompt="")[0], off) <= 1e-6
    assert far(run("minus-text-free")[0], off) > 1e-3
    assert far(run("cross-uniform")[0], bare) > 1e-4


def test_prompts_are_exchanged(run) -> None:
    bare, other = run()[0], run(prompt="rain")[0]
    assert far(run("swap-prompt:prompt=rain")[0], other) == 0.0
    # All that the text does goes through the embedded memory: patching it there is the whole swap.
    assert far(run("restore:site=cross_attn_out,prompt=rain")[0], bare) < far(other, bare)
    assert far(run("ablate:site=cross_attn_out,kind=resample,prompt=rain")[0], bare) > 1e-3
    keys, values = (run(f"split-prompt:prompt=rain,take={t}")[0] for t in ("keys", "values"))
    assert far(keys, bare) > 1e-4
    assert far(values, bare) > far(keys, bare)
    # Keys and values together are the other prompt, as long as it has as many tokens.
    both = run("split-prompt:prompt=rain,take=keys", prompt="dog")[0]
    assert far(both, run(prompt="dog")[0]) > 1e-4
    swapped = run("ablate:site=cross_k,kind=resample,prompt=rain", prompt="dog")[0]
    assert far(swapped, both) == 0.0


def test_two_parts_may_not_replace_the_evaluation(run) -> None:
    with pytest.raises(UsageError, match="cannot be composed"):
        run("swap-prompt:prompt=rain+split-prompt:prompt=rain")


def test_kinds_of_ablation(run, separator) -> None:
    results = {}
    for kind in ("zero", "mean", "noise"):
        results[kind] = run(f"ablate:site=self_attn_out,kind={kind},layers=1-2,start=0.25,end=0.5")[0]
    bare = run()[0]
    for a, b in (("zero", "mean"), ("zero", "noise"), ("mean", "noise")):
        assert far(results[a], results[b]) > 1e-4
    assert all(far(x, bare) > 1e-4 for x in results.values())
    seen: list[torch.Tensor] = []
    place = places(separator.sites, "self_attn_out", 1)[0]
    noisy = resolve_intervention("ablate:site=self_attn_out,kind=noise,layers=1")
    with noisy.on(separator), hooked(separator.network, separator.sites, [Observe(place, seen.append)]):
        separator.separate([SOUND], [StemPrompt("rain")], [3])
    inside: list[torch.Tensor] = []
    with hooked(separator.network, separator.sites, [Observe(place, inside.append)]):
        separator.separate([SOUND], [StemPrompt("rain")], [3])
    # Of the first evaluation, whose input is the same: another direction, the same norm in every frame.
    torch.testing.assert_close(seen[0].norm(dim=-1), inside[0].norm(dim=-1))
    assert (seen[0] * inside[0]).sum() / inside[0].square().sum() < 0.5


def test_the_gate_moves_every_frame_also_without_a_span(run) -> None:
    bare, wide = run()[0], run("gate:gamma=5")[0]
    assert far(wide, bare) > 1e-2
    spans = (Span(0.02, 0.05),)
    assert far(run("gate:gamma=0", spans=spans)[0], run("gate:gamma=0")[0]) == 0.0
    assert far(run("gate:gamma=5", spans=spans)[0], wide) > 1e-3


def test_fewer_steps(run, separator) -> None:
    stages = 2 if separator.sampling.solver == "midpoint" else 1
    latents, n, done = run("fewer-steps:steps=4")
    assert n == 4 * stages
    assert far(latents, separator_with(separator, steps=4)) == 0.0
    assert done["saved_flops"] == pytest.approx(0.5)
    short, n, _ = run("fewer-steps:steps=4,how=truncated")
    assert n == 4 * stages
    seen: list[torch.Tensor] = []
    halfway = Observe(places(separator.sites, "state")[0], seen.append, lambda tick: (tick.step, tick.stage) == (4, 0))
    with hooked(separator.network, separator.sites, [halfway]):
        separator.separate([SOUND], [StemPrompt("dog barking")], [3])
    assert far(short, seen[0][0].numpy()) <= 1e-6
    with pytest.raises(UsageError, match="cannot stop after 9"):
        run("fewer-steps:steps=9,how=truncated")


def separator_with(separator, **changes) -> np.ndarray:
    own = Small(separator.sampling.solver, **changes)
    return own.separate([SOUND], [StemPrompt("dog barking")], [3])[0].latents


def test_shares_are_those_of_the_sheet(run, separator) -> None:
    stages = 2 if separator.sampling.solver == "midpoint" else 1
    n = 8 * stages
    # Two of four layers, from a quarter on; the evaluation at the freeze is still computed.
    done = run("freeze:layers=0+2,start=0.25")[2]
    frozen = 2 * (n - 1 - n // 4)
    assert done["saved_attention_maps"] == pytest.approx(frozen / (4 * n))
    assert done["saved_self_attention"] == pytest.approx(0.5 * frozen / (4 * n))
    cost = separator.cost(38, 3)
    assert done["saved_flops"] == pytest.approx(frozen * cost.attention_map / (n * cost.total))
    assert cost.attention_map == pytest.approx(cost.self_attention / 2)
    assert run("output-reuse")[2]["saved_self_attention"] == pytest.approx(0.5)
    assert run("block-reuse")[2]["saved_self_attention"] == pytest.approx(0.25)
    both = run("fewer-steps:steps=4+freeze:start=0.5")[2]
    half = 4 * stages
    alone = (half - 1 - half // 2) / half
    assert both["saved_attention_maps"] == pytest.approx(1 - 0.5 * (1 - alone))


def test_costs_are_what_the_network_multiplies(separator) -> None:
    from torch.utils.flop_counter import FlopCounterMode

    network, frames, tokens = separator.network, 38, 3
    state = torch.randn(1, frames, 48)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(state, torch.tensor(0.5), state, torch.randn(1, tokens, 24), torch.ones(1, tokens, dtype=torch.bool))
    assert separator.cost(frames, tokens).total == pytest.approx(counter.get_total_flops(), rel=0.05)


def test_a_map_is_computed_once_and_never_outlives_its_solve(run, separator) -> None:
    place = places(separator.sites, "self_attn_map", 1)[0]
    with resolve_intervention("freeze:layers=1,start=0.5").on(separator) as report:
        maps: list[torch.Tensor] = []
        boom = Change(places(separator.sites, "velocity")[0], _raise, lambda tick: tick.step == 6)
        with pytest.raises(ZeroDivisionError), hooked(separator.network, separator.sites, [boom]):
            separator.separate([SOUND], [StemPrompt("rain")], [3])
        report.drain()
        with hooked(separator.network, separator.sites, [Observe(place, maps.append)]):
            after = separator.separate([SOUND], [StemPrompt("dog barking")], [3])[0].latents
    assert far(after, run("freeze:layers=1,start=0.5")[0]) == 0.0
    stages = 2 if separator.sampling.solver == "midpoint" else 1
    assert len(maps) == 4 * stages + 1


def _raise(value: torch.Tensor) -> torch.Tensor:
    raise ZeroDivisionError


def test_outside_a_solver_reuse_is_refused(separator) -> None:
    state = torch.randn(1, 12, 48)
    for name in ("freeze", "output-reuse", "block-reuse"):
        with pytest.raises(ModelError, match="no solver says"), resolve_intervention(name).on(separator):
            separator.network(state, torch.tensor(0.5), state)


def test_reuse_by_hand(run, separator) -> None:
    """Output reuse on every second step, written again as a plain loop over kept values."""
    kept: dict[tuple[int, int | None], torch.Tensor] = {}
    from otoscope.core import clock

    def reuse(layer: int):
        def act(module, args, kwargs):
            tick = clock.now()
            if tick.step % 2 == 0:
                kept[layer, tick.stage] = module(*args, **kwargs)
            return kept[layer, tick.stage]

        return act

    actions = [Skip(p, reuse(int(p.layer))) for p in places(separator.sites, "self_attn_out")]
    with hooked(separator.network, separator.sites, actions):
        by_hand = separator.separate([SOUND], [StemPrompt("dog barking")], [3])[0].latents
    assert far(run("output-reuse")[0], by_hand) == 0.0


def test_names_and_identities(separator) -> None:
    assert split("freeze:layers=0+2+fewer-steps:steps=4") == ["freeze:layers=0+2", "fewer-steps:steps=4"]
    whole = resolve_intervention("freeze:layers=0+2,start=0.5+fewer-steps:steps=4")
    said = json.loads(json.dumps(dict(whole.identity())))
    assert [p["class"] for p in said["parts"]] == ["freeze", "fewer-steps"]
    assert said["parts"][0]["layers"] == "0+2"
    for wrong, says in (
        ("freeze:layers=2-1", "names no layer"), ("freeze:start=1.5", "no stretch"), ("ablate", "which site"),
        ("ablate:site=x,kind=zap", "no kind"), ("ablate:site=x,kind=resample", "needs prompt"),
        ("restore:site=x", "prompt=TEXT"), ("split-prompt", "prompt=TEXT"), ("fewer-steps:steps=0", "whole number"),
        ("fewer-steps:how=x", "neither"), ("output-reuse:every=1", "from 2"), ("output-reuse:which=x", "none of"),
        ("block-reuse:front=-1", "from 0"), ("freeze:layer=3", "unexpected"),
        ("gate:gamma=wide", "not a number"), ("gate:gamma=nan", "not a number"),
        ("ablate:site=ffn_out,seed=x", "from 0"), ("placebo:seed=-1", "from 0"), ("lsac:plan=5", "names no file"),
        ("lsac:preset=budget,x=half", "no share"), ("block-reuse:front=true", "from 0"),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=says):
            resolve_intervention(wrong)
    for wrong, says in (("block-reuse:front=4", "no block is left"), ("ablate:site=cross_atn_out", "has no site")):
        with pytest.raises(UsageError, match=says), resolve_intervention(wrong).on(separator):
            pass


def test_a_report_without_a_cost_has_no_shares(separator) -> None:
    assert Tally(object()).drain() == {}
