"""Profiles of heads: what fitting measures, and what weights they give to items that were not used to fit."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from otoscope.core import clock
from otoscope.core.errors import InputError, UsageError
from otoscope.core.nouns import Fitted, Prompt
from otoscope.interventions.catalogue import resolve_intervention
from otoscope.interventions.prune.calibration import (
    ANSWER_TOKENS,
    divergence,
    fidelity_weights,
    fit_profile,
    learn,
    probe,
)
from otoscope.interventions.prune.headrouter import HeadRouter
from otoscope.interventions.prune.routing import Profile

K = 2


@pytest.fixture
def families(clip) -> dict[str, list[Prompt]]:
    """Semantic: noise; acoustic: a click. Their maps differ in sharpness, whatever the weights."""
    return {
        "semantic": [Prompt("what is said?", (clip(i, 0.8),)) for i in range(2)],
        "acoustic": [Prompt("is it a dog?", (clip(7 + i, 2.4),)) for i in range(2)],
    }


def test_divergence_stops_where_answers_part() -> None:
    p = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4]]).double().log()
    q = torch.tensor([[0.6, 0.3, 0.1], [0.5, 0.4, 0.1], [0.9, 0.05, 0.05]]).double().log()
    kl = lambda i: float((p[i].exp() * (p[i] - q[i])).sum())  # noqa: E731
    assert divergence(list(p), list(p)) == 0
    assert divergence(list(p), list(q)) == pytest.approx((kl(0) + kl(1)) / 2)  # the second step parts, the third is out
    assert divergence(list(p[:1]), list(q[:1])) == pytest.approx(kl(0))


def test_fidelity_weights_do_not_depend_on_scale() -> None:
    d = np.array([0.1, 0.2, 0.3, 0.2])
    w = fidelity_weights(d)
    assert w.sum() == pytest.approx(1)
    assert w == pytest.approx(fidelity_weights(100 * d))
    assert w == pytest.approx(np.exp(-d / 0.2) / np.exp(-d / 0.2).sum())
    assert fidelity_weights(np.zeros(4)) == pytest.approx(np.full(4, 0.25))


def one_head_kept(lm, prompt: Prompt, head: int, keep: float) -> torch.Tensor:
    """Logits ``[steps, V]`` when only the tokens that ``head`` attends to most are left: by masks of the library, from
    layer K on, without the engine."""
    stats = probe(lm, [prompt], K)[0]
    inputs = dict(lm.prepare([prompt]).inputs)
    audio = (inputs["input_ids"][0] == lm.audio_token_id).nonzero()[:, 0]
    n = -(-round(100 * keep) * len(audio) // 100)
    order = stats.received[head].argsort(descending=True, stable=True)[:n]
    seen = torch.ones(inputs["input_ids"].shape[1], dtype=torch.bool)
    seen[audio] = False
    seen[audio[order]] = True

    def instead(module, args, kwargs):
        cache = kwargs.get("cache", kwargs.get("past_key_values"))
        past = int(cache.get_seq_length(module.self_attn.layer_idx))
        total = past + args[0].shape[1]
        keys = torch.cat([seen, torch.ones(total - len(seen), dtype=torch.bool)])
        allowed = keys[None, :] & (torch.arange(total)[None, :] <= torch.arange(past, total)[:, None])
        mask = torch.zeros(allowed.shape).masked_fill(~allowed, torch.finfo(torch.float32).min)
        return args, {**kwargs, "attention_mask": mask[None, None]}

    handles = [
        m.register_forward_pre_hook(instead, with_kwargs=True, prepend=True)
        for m in lm.network.get_decoder().layers[K:]
    ]
    try:
        return logits(lm, inputs)
    finally:
        for handle in handles:
            handle.remove()


def logits(lm, inputs) -> torch.Tensor:
    with torch.inference_mode():
        out = lm.network.generate(
            **inputs, max_new_tokens=ANSWER_TOKENS, do_sample=False, output_logits=True, return_dict_in_generate=True
        )
    return torch.cat(out.logits)


def test_a_fidelity_profile_is_what_each_head_alone_leaves_of_the_answer(model, families) -> None:
    lm = model("qwen2_audio")
    profile = fit_profile(lm, families, K, kind="fidelity", keep=0.3)
    for name, prompts in families.items():
        divergences = []
        for head in range(4):
            own = []
            for prompt in prompts:
                whole = logits(lm, dict(lm.prepare([prompt]).inputs)).double().log_softmax(-1)
                pruned = one_head_kept(lm, prompt, head, 0.3).double().log_softmax(-1)
                steps = 0
                for p, q in zip(whole, pruned, strict=False):
                    steps += 1
                    if p.argmax() != q.argmax():
                        break
                kl = (whole[:steps].exp() * (whole[:steps] - pruned[:steps])).sum(-1)
                own.append(float(kl.mean()))
            divergences.append(np.mean(own))
        tau = np.mean(divergences)
        wanted = np.exp(-np.array(divergences) / tau)
        assert profile.weights[name] == pytest.approx((wanted / wanted.sum()).tolist(), abs=1e-4)
    mixed = np.mean([profile.weights[n] for n in ("semantic", "acoustic")], axis=0)
    assert profile.weights["mixed"] == pytest.approx(mixed.tolist())
    assert profile.about["kind"] == "fidelity"
    assert profile.about["keep"] == 0.3
    statistic = fit_profile(lm, families, K)
    assert statistic.weights["semantic"] != pytest.approx(profile.weights["semantic"])
    assert statistic.centres == profile.centres


def test_the_clock_says_the_family_and_nobody_is_an_error(model, families, tmp_path) -> None:
    lm = model("qwen2_audio")
    method = resolve_intervention("headrouter:profile=statistic,keep=0.5")
    assert isinstance(method, Fitted)
    assert method.needs_fit
    assert method.answer_tokens == 1

    def call(name, prompt):
        with clock.at(family=name):
            lm.generate([prompt], 1)

    calls = [lambda n=n, p=p: call(n, p) for n, prompts in families.items() for p in prompts]
    learned = method.learn(lm, calls)
    assert Profile.from_json(learned).about["n_prompts"] == {"acoustic": 2, "semantic": 2}
    assert learned == {**fit_profile(lm, families, K).to_json(), "about": learned["about"]}
    ready = method.given(learned)
    assert not ready.needs_fit
    with pytest.raises(InputError, match="item 0 belongs to no family"):
        method.learn(lm, [lambda: lm.generate(families["semantic"][:1], 1)])
    with pytest.raises(InputError, match="no sound"):
        learn(HeadRouter(), lm, [lambda: call("semantic", Prompt("what is rain?"))], "statistic")
    with pytest.raises(UsageError, match="has not been fitted"), method.on(lm):
        pass
    path = tmp_path / "profile.json"
    ready.heads.write(path)
    assert Profile.read(str(path)) == ready.heads
    assert HeadRouter(profile=str(path)).heads == ready.heads
    assert method.identity() != resolve_intervention("headrouter:profile=fidelity,keep=0.5").identity()


def test_oracle_weights_and_routing_accuracy(model, families) -> None:
    lm = model("qwen2_audio")
    profile = fit_profile(lm, families, K)
    prompt = families["semantic"][0]

    def told(weights: str, family: str | None):
        with HeadRouter(0.4, K, weights=weights).given(profile).on(lm) as report, clock.at(family=family):
            lm.generate([prompt], 1)
            return report.drain()

    routed = told("routed", "semantic")
    assert routed["routed_right"] == routed["nearest_semantic"]
    assert routed["alpha_of_family"] == routed["alpha_semantic"]
    assert told("routed", "acoustic")["routed_right"] == routed["nearest_acoustic"]
    assert "routed_right" not in told("routed", None)
    with pytest.raises(InputError, match=r"the oracle knows .* says nothing"):
        told("oracle", None)

    def kept(weights: str, family: str | None) -> list[int]:
        found = []

        class Spy(HeadRouter):
            def choose(self, row):
                chosen = super().choose(row)
                found.extend(chosen[0].tolist())
                return chosen

        with Spy(0.4, K, weights=weights).given(profile).on(lm), clock.at(family=family):
            lm.generate([prompt], 1)
        return found

    for family in ("semantic", "acoustic"):
        assert kept("oracle", family) == kept(family, None)
    assert kept("semantic", None) != kept("acoustic", None)
