"""Scores against the formulas, computed from the library's eager attention and from plain projections."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import torch

from otoscope.core.errors import InputError, UsageError
from otoscope.core.nouns import Prompt
from otoscope.interventions.catalogue import resolve_intervention
from otoscope.interventions.prune.budget import kept_count, stretches, top, top_with_floor
from otoscope.interventions.prune.calibration import fit_profile, probe
from otoscope.interventions.prune.dart import Dart
from otoscope.interventions.prune.fastv import FastV, FastVNoRope
from otoscope.interventions.prune.frame import Frame
from otoscope.interventions.prune.headrouter import HeadRouter, transformed
from otoscope.interventions.prune.routing import Profile, Shape, build, route
from otoscope.interventions.prune.segment_topk import SegmentTopK
from otoscope.interventions.prune.sparsevlm import SparseVLMPlus
from otoscope.models.resolve import load

K = 2
METHODS = (
    "prune/random",
    "prune/frame",
    "prune/fastv",
    "prune/fastv-norope",
    "prune/dart",
    "prune/sparsevlm+",
    "prune/segment-topk",
    "headrouter:weights=uniform",
)


@pytest.fixture
def prompts(clip) -> list[Prompt]:
    return [Prompt("what do you hear?", (clip(i, 0.9 + 0.8 * i),)) for i in range(2)]


def kept_of(method, lm, prompts):
    """What the method keeps, row by row, and the rows it saw."""
    rows, found = [], []
    choose = type(method).choose

    def spy(self, row):
        kept = choose(self, row)
        rows.append(row)
        found.append(kept[0])
        return kept

    spied = type("Spied", (type(method),), {"choose": spy})(**{f: getattr(method, f) for f in method.__match_args__})
    with torch.inference_mode(), spied.on(lm):
        lm.generate(prompts, 1)
    return found, rows


@pytest.mark.parametrize("name", METHODS)
def test_every_method_keeps_its_share_in_order(family, model, prompts, name) -> None:
    lm = model(family)
    for keep in (0.5, 0.13):
        found, rows = kept_of(resolve_intervention(f"{name}{',' if ':' in name else ':'}keep={keep}"), lm, prompts)
        for kept, row in zip(found, rows, strict=True):
            assert len(kept) == kept_count(keep, len(row.audio))
            assert torch.isin(kept, row.audio).all()
            assert (kept.diff() > 0).all()


def test_fastv_is_the_last_row_of_eager_attention(family, written, prompts) -> None:
    """Under sdpa, without its weights; against the weights that eager attention gives out."""
    lm, eager = load(str(written(family))), load(f"{written(family)}:attention=eager")
    _, rows = kept_of(FastV(0.5, K), lm, prompts)
    with torch.inference_mode():
        out = eager.network(**eager.prepare(prompts).inputs, output_attentions=True)
    for i, row in enumerate(rows):
        theirs = out.attentions[K - 1][i, :, -1, row.audio].mean(0)
        torch.testing.assert_close(FastV(0.5, K).scores(row), theirs, atol=1e-6, rtol=1e-5)


def test_without_the_rotary_embedding_order_does_not_matter(model, prompts) -> None:
    """The same queries and keys at other positions score the same; with the embedding they do not."""
    lm = model("qwen2_5_omni")
    _, (row, _) = kept_of(FastVNoRope(0.5, K), lm, prompts)
    q, k = (row.watched[n] for n in ("q_proj", "k_proj"))
    heads = lambda x: x.unflatten(-1, (-1, 16)).transpose(0, 1)  # noqa: E731
    z = (heads(q)[:, -1:] @ heads(k).repeat_interleave(2, 0).mT) / 4.0
    z = z.masked_fill(~row.real[None, None], -math.inf)
    theirs = z.softmax(-1)[:, 0, row.audio].mean(0)
    torch.testing.assert_close(FastVNoRope(0.5, K).scores(row), theirs, atol=1e-6, rtol=1e-5)


def test_headrouter_probing_and_statistics(family, model, prompts) -> None:
    lm = model(family)
    layer = lm.network.get_decoder().layers[K - 1]
    stats = probe(lm, prompts, K)
    _, rows = kept_of(HeadRouter(0.5, K, weights="uniform"), lm, prompts[:1])
    (row,) = rows
    seen = {}
    handle = layer.input_layernorm.register_forward_hook(lambda m, a, out: seen.setdefault("x", out))
    with torch.inference_mode():
        lm.generate(prompts[:1], 1)
    handle.remove()
    attention, x = layer.self_attn, seen["x"][0]
    with torch.inference_mode():
        if hasattr(attention, "qkv_proj"):
            q, k, _ = attention.qkv_proj(x).split([64, 32, 32], -1)
        else:
            q, k = attention.q_proj(x), attention.k_proj(x)
    a = torch.zeros(4, len(row.audio))
    for h in range(4):
        qh, kh = q[:, 16 * h : 16 * h + 16], k[:, 16 * (h // 2) : 16 * (h // 2) + 16]
        for t in row.text:
            a[h] += ((qh[t] * kh[row.audio]).sum(-1) / 4.0).softmax(-1) / len(row.text)
    torch.testing.assert_close(stats[0].received, a, atol=1e-5, rtol=1e-4)
    entropy = -(a * a.log()).sum(-1)
    torch.testing.assert_close(stats[0].selectivity, 1 - entropy / math.log(a.shape[1]), atol=1e-5, rtol=1e-4)
    assert ((stats[0].responsiveness > 0) & (stats[0].responsiveness < 1)).all()
    torch.testing.assert_close(HeadRouter(0.5, K, weights="uniform").scored(row)[0], a.mean(0), atol=1e-6, rtol=1e-4)


def test_segments_each_keep_some(model, prompts) -> None:
    lm = model("qwen2_5_omni")
    method = SegmentTopK(0.3, K, segments=4)
    found, rows = kept_of(method, lm, prompts)
    for kept, row in zip(found, rows, strict=True):
        n = len(kept)
        for a, b in stretches(len(row.audio), 4):
            inside = torch.isin(row.audio[a:b], kept).sum()
            assert inside >= min(n // 4, b - a)


def test_dart_takes_what_is_least_like_its_pivots(model, prompts) -> None:
    lm = model("qwen2_5_omni")
    (kept, _), (row, _) = kept_of(Dart(0.4, K, pivots=1), lm, prompts)
    norms = row.watched["self_k"].float().abs().sum((0, 2))
    pivot = row.audio[norms[row.audio].argmax()]
    assert pivot in kept
    x = torch.nn.functional.normalize(row.layer.input_layernorm(row.hidden), dim=-1)
    others = row.audio[row.audio != pivot]
    share = -(-(len(kept) - 1) // 2)  # two pivots, the first of which gets what is odd
    least = others[(x[others] @ x[pivot]).argsort()[:share]]
    assert torch.isin(least, kept).all()


def test_sparsevlm_counts_the_most_audible_heads_alone(model, prompts) -> None:
    lm = model("qwen2_5_omni")
    _, (row, _) = kept_of(SparseVLMPlus(0.4, K, heads=1), lm, prompts)
    one, every = SparseVLMPlus(0.4, K, heads=1).scores(row), SparseVLMPlus(0.4, K, heads=99).scores(row)
    assert not torch.allclose(one, every)
    assert torch.equal(every, SparseVLMPlus(0.4, K, heads=4).scores(row))


# --- budgets ------------------------------------------------------------------------------------------------------


def test_budgets() -> None:
    assert [kept_count(0.1, n) for n in (0, 1, 10, 11, 30)] == [0, 1, 1, 2, 3]
    assert kept_count(1.0, 7) == 7
    scores = torch.tensor([0.5, 0.5, 0.9, 0.1, 0.5])
    assert top(scores, 3).tolist() == [0, 1, 2]  # ties go to the earlier
    assert top_with_floor(torch.tensor([9.0, 8, 7, 1, 2, 0]), 3, 2).tolist() == [0, 1, 4]
    with pytest.raises(UsageError, match="floor of 4"):
        top_with_floor(scores, 3, 4)
    assert stretches(5, 3) == [(0, 2), (2, 3), (3, 5)]
    frames = Frame(0.5, 1)
    assert frames.pick(torch.zeros(7), 3).tolist() == [0, 2, 4]


# --- routing ------------------------------------------------------------------------------------------------------

SHAPE = Shape(4, 4, K)


def observed(seed: int = 0):
    """Semantic: flat heads; acoustic: one very selective head."""
    rng = np.random.default_rng(seed)
    flat = [(0.1 + 0.02 * rng.random(4), np.array([0.5, 0.4, 0.3, 0.2])) for _ in range(20)]
    peaked = [
        (np.array([0.05, 0.05, 0.05, 0.9]) + 0.02 * rng.random(4), np.array([0.2, 0.3, 0.3, 0.6])) for _ in range(20)
    ]
    return {"semantic": flat, "acoustic": peaked}


def test_profiles_are_built_as_defined() -> None:
    found = build(observed(), SHAPE, {"kind": "statistic"}, top=0.5)
    assert set(found.weights) == {"semantic", "acoustic", "mixed"}
    for w in found.weights.values():
        assert sum(w) == pytest.approx(1)
    value = np.mean([s * m for s, m in observed()["acoustic"]], 0)
    kept = np.where(value >= np.sort(value)[-2], value, 0)
    assert found.weights["acoustic"] == pytest.approx((kept / kept.sum()).tolist())
    assert np.count_nonzero(found.weights["semantic"]) == 2
    a, b, c = (np.array(found.centres[n]) for n in ("semantic", "acoustic", "mixed"))
    assert c == pytest.approx((a + b) / 2)
    assert found.sigma == pytest.approx(np.linalg.norm(a - b) / 4)
    assert Profile.from_json(found.to_json()) == found


def test_routing_finds_the_family_of_items_it_was_not_fitted_on() -> None:
    profile = build(observed(0), SHAPE, {})
    for name, items in observed(1).items():
        for s, _ in items:
            routed = route(profile, s)
            assert routed.nearest == name
            assert sum(routed.alpha.values()) == pytest.approx(1)
            assert max(routed.alpha, key=routed.alpha.get) == name


def test_far_away_inputs_are_said_to_be() -> None:
    profile = build(observed(), SHAPE, {})
    routed = route(profile, np.array([1e6, 0, 0, 0]))
    assert routed.far
    assert all(np.isfinite(list(routed.alpha.values())))


def test_a_profile_changes_what_is_kept_and_says_how(model, prompts) -> None:
    lm = model("qwen2_5_omni")
    profile = build(observed(), SHAPE, {})
    profile = Profile.from_json({**profile.to_json(), "far": 1e9})
    with HeadRouter(0.4, K).given(profile).on(lm) as report:
        lm.generate(prompts, 1)
        told = report.drain()
    assert told["alpha_semantic"] + told["alpha_acoustic"] + told["alpha_mixed"] == pytest.approx(1)
    assert told["far_away"] == 0
    assert told["kept_audio_share"] == pytest.approx(0.4, abs=0.03)
    (row, *_) = kept_of(HeadRouter(0.4, K, weights="uniform"), lm, prompts)[1]
    by = {w: HeadRouter(0.4, K, weights=w).given(profile).scored(row)[0] for w in ("semantic", "acoustic", "uniform")}
    stats = probe(lm, prompts[:1], K)[0]
    weighed = (torch.tensor(profile.weights["acoustic"], dtype=torch.float32)[:, None] * stats.received).sum(0)
    torch.testing.assert_close(by["acoustic"], weighed, atol=1e-5, rtol=1e-4)
    assert not torch.allclose(by["acoustic"], by["uniform"])
    # Nowhere near: uniform weights, and it is told.
    near = Profile.from_json({**profile.to_json(), "far": 0.0})
    scores, told = HeadRouter(0.4, K).given(near).scored(row)
    torch.testing.assert_close(scores, by["uniform"])
    assert told["far_away"] == 1


def test_fitting_on_a_model(model, prompts, clip) -> None:
    lm = model("qwen2_5_omni")
    families = {"semantic": prompts, "acoustic": [Prompt("is it a dog?", (clip(7, 1.5),))]}
    profile = fit_profile(lm, families, K)
    assert profile.shape == Shape(4, 4, K)
    assert profile.about["n_prompts"] == {"semantic": 2, "acoustic": 1}
    with HeadRouter(0.4, K).given(profile).on(lm) as report:
        lm.generate(prompts, 1)
    assert report.notes == []
    with pytest.raises(InputError, match="'acoustic'"):
        fit_profile(lm, {"semantic": prompts}, K)


def test_another_models_profile_is_refused_and_none_is_warned_of(model, tmp_path) -> None:
    lm = model("qwen2_5_omni")
    wrong = build(observed(), Shape(28, 4, K), {})
    with pytest.raises(UsageError, match="28 layers, 4 heads"), HeadRouter(0.5, K).given(wrong).on(lm):
        pass
    with pytest.warns(UserWarning, match="no profile was given"), HeadRouter(0.5, K).on(lm) as report:
        pass
    assert report.notes == ["no profile was given, so all heads weigh the same"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with HeadRouter(0.5, K, weights="uniform").on(lm):
            pass
    file = tmp_path / "p.json"
    file.write_text("{}")
    with pytest.raises(InputError, match="no head profile"):
        HeadRouter(0.5, K, profile=str(file)).identity()
    for wrong in ("weights=odd", "rows=some", "transform=log"):
        with pytest.raises(UsageError, match="is not one of"):
            resolve_intervention(f"headrouter:{wrong}")


def test_transforms() -> None:
    assert resolve_intervention("headrouter:transform=none").identity() == resolve_intervention("headrouter").identity()
    x = torch.tensor([[0.7, 0.1, 0.2], [0.2, 0.3, 0.5]])
    assert torch.equal(transformed(x, "none"), x)
    assert transformed(x, "rank").tolist() == [[1.0, 0.0, 0.5], [0.0, 0.5, 1.0]]
    z = transformed(x, "zscore")
    torch.testing.assert_close(z.mean(-1), torch.zeros(2), atol=1e-6, rtol=0)
