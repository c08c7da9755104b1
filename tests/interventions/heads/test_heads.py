"""The atlas sees what HeadRouter probes, in every layer; knock-out takes what a head has heard and no more."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from otoscope.core.errors import UsageError
from otoscope.core.nouns import Fitted, Prompt
from otoscope.interventions.catalogue import resolve_intervention
from otoscope.interventions.heads.atlas import HeadAtlas, read
from otoscope.interventions.heads.knock import KnockHeads, knocked
from otoscope.interventions.prune.calibration import probe

LAYERS, HEADS = 4, 4


def test_the_atlas_is_the_routers_probe_in_all_layers(model, clip, family) -> None:
    lm = model(family)
    prompt = Prompt("what do you hear?", (clip(1, 2.0),))
    with HeadAtlas().on(lm) as report:
        bare = lm.generate([prompt], 3)[0]
        told = dict(report.drain())
    assert bare.token_ids == lm.generate([prompt], 3)[0].token_ids
    maps = {name: np.array(read(told, name)) for name in ("responsiveness", "selectivity")}
    assert maps["selectivity"].shape == (LAYERS, HEADS)
    for layer in range(1, LAYERS):
        (found,) = probe(lm, [prompt], layer)
        np.testing.assert_allclose(maps["selectivity"][layer - 1], found.selectivity.numpy(), rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(maps["responsiveness"][layer - 1], found.responsiveness.numpy(), rtol=1e-4)


def test_a_prompt_without_sound_has_no_statistics(model, clip) -> None:
    lm = model("qwen2_5_omni")
    with HeadAtlas().on(lm) as report:
        lm.generate([Prompt("what?", (clip(1, 1.0),))], 2)
        assert report.drain()
        lm.generate([Prompt("what?")], 2)
        assert not report.drain()


def test_a_knocked_head_is_a_zeroed_column_of_the_output_projection(model, clip, family) -> None:
    lm = model(family)
    prompts = [Prompt("what do you hear?", (clip(2, 1.5),))]
    bare = lm.generate(prompts, 6)[0]
    method = KnockHeads(layer=1, heads="0+2+3")
    with method.on(lm) as report:
        found = lm.generate(prompts, 6)[0]
        assert report.drain()["knocked_heads"] == 3
    projection = lm.network.get_decoder().layers[1].self_attn.o_proj.weight
    before = projection.detach().clone()
    width = projection.shape[1] // HEADS
    with torch.no_grad():
        for head in (0, 2, 3):
            projection[:, head * width : (head + 1) * width] = 0
    try:
        wanted = lm.generate(prompts, 6)[0]
    finally:
        with torch.no_grad():
            projection.copy_(before)
    assert found.token_ids == wanted.token_ids
    assert lm.generate(prompts, 6)[0].token_ids == bare.token_ids


def test_some_answers_change_without_heads(model, clip) -> None:
    lm = model("qwen2_5_omni")
    prompts = [Prompt("what do you hear?", (clip(i, 1.5),)) for i in range(4)]
    bare = [lm.generate([p], 6)[0].token_ids for p in prompts]
    with KnockHeads(which="random", share=0.5).on(lm):
        assert [lm.generate([p], 6)[0].token_ids for p in prompts] != bare


def test_the_mean_keeps_the_level() -> None:
    x = torch.randn(1, 4, 5, 3)
    out = knocked(x, [1], "mean")
    assert torch.equal(out[:, [0, 2, 3]], x[:, [0, 2, 3]])
    torch.testing.assert_close(out[:, 1], x[:, 1].mean(-2, keepdim=True).expand(1, 5, 3))
    assert not knocked(x, [1], "zero")[:, 1].any()


def test_the_most_responsive_heads_are_learned_and_chosen(model, clip) -> None:
    lm = model("qwen2_audio")
    method = KnockHeads(which="responsive", share=0.2)
    assert isinstance(method, Fitted)
    assert method.needs_fit
    with pytest.raises(UsageError, match="no atlas"), method.on(lm):
        pass
    calls = [lambda i=i: lm.generate([Prompt("what?", (clip(i, 1.0),))], 1) for i in range(3)]
    learned = method.learn(lm, calls)
    given = method.given(learned)
    assert not given.needs_fit
    chosen = {(layer, h) for layer, heads in given.chosen(LAYERS, HEADS).items() for h in heads}
    order = np.argsort(-np.array(learned["responsiveness"]).ravel())[:3]
    assert chosen == {(int(i) // HEADS, int(i) % HEADS) for i in order}
    assert given.identity() == method.identity()
    with pytest.raises(UsageError, match="atlas of"):
        given.chosen(2, 2)


def test_random_heads_follow_the_seed() -> None:
    draws = [KnockHeads(which="random", share=0.25, seed=s).chosen(LAYERS, HEADS) for s in (0, 0, 1)]
    assert draws[0] == draws[1] != draws[2]
    assert [sum(map(len, d.values())) for d in draws] == [4, 4, 4]


@pytest.mark.parametrize(
    "name",
    ["knock-heads", "knock-heads:layer=1", "knock-heads:which=best", "knock-heads:which=random,share=0",
     "knock-heads:which=random,layer=1,heads=2", "knock-heads:layer=1,heads=x", "head-atlas:keep=1"],
)  # fmt: skip
def test_mistakes_are_refused(name) -> None:
    with pytest.raises(UsageError):
        resolve_intervention(name)


def test_a_head_that_is_not_there_is_named(model) -> None:
    with pytest.raises(UsageError, match="heads 0 to 3"), KnockHeads(layer=1, heads="7").on(model("qwen2_audio")):
        pass
