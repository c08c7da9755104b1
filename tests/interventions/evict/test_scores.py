"""Scores against the formulas, computed from the library's eager attention, its caches and plain projections."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from audiolm_fixtures import inputs_of

from otoscope.core.nouns import Prompt
from otoscope.interventions.catalogue import resolve_intervention
from otoscope.models.resolve import load

KEEP = 0.45


@dataclass(frozen=True, eq=False)
class Seen:
    """One prompt in one layer, padding left out, in float64."""

    keys: torch.Tensor  # [H_kv, n, d]
    values: torch.Tensor
    maps: torch.Tensor  # [H, n, n]
    queries: torch.Tensor  # [H, n, d], before the rotary embedding
    turns: torch.Tensor  # [512, d, d], rotations of the next positions
    scale: float


@pytest.fixture(scope="session")
def eager(written):
    return functools.cache(lambda family: load(f"{written(family)}:attention=eager"))


def prompts_of(clip) -> list[Prompt]:
    return [Prompt("what do you hear?", (clip(i, 0.9 + 0.8 * i),)) for i in range(2)]


def observed(lm, prompts) -> dict[tuple[int, int], Seen]:
    """What the bare network does, by layer and prompt."""
    inputs = inputs_of(lm, prompts)
    layers, projected, positions = lm.network.get_decoder().layers, {}, []
    handles = []
    for i, layer in enumerate(layers):
        a = layer.self_attn
        part = a.qkv_proj if hasattr(a, "qkv_proj") else a.q_proj
        handles.append(part.register_forward_hook(lambda m, x, out, i=i: projected.__setitem__(i, out)))
    rotary = lm.network.get_decoder().rotary_emb
    handles.append(
        rotary.register_forward_pre_hook(
            lambda m, args, kwargs: positions.append(kwargs.get("position_ids", args[1] if len(args) > 1 else None)),
            with_kwargs=True,
        )
    )
    with torch.inference_mode():
        out = lm.network.generate(
            **inputs, max_new_tokens=1, do_sample=False, output_attentions=True, return_dict_in_generate=True
        )
    for handle in handles:
        handle.remove()
    found, cache = {}, out.past_key_values
    for i in range(len(layers)):
        for b, mask in enumerate(inputs["attention_mask"].bool()):
            at = positions[0][..., min(b, positions[0].shape[-2] - 1), :]
            real, d = mask.nonzero()[:, 0], cache.layers[i].keys.shape[-1]
            queries = projected[i][b, real][:, : 4 * d].unflatten(-1, (4, d)).transpose(0, 1)
            maps = out.attentions[0][i][b][:, real][:, :, real]
            found[i, b] = Seen(
                cache.layers[i].keys[b][:, real].double(),
                cache.layers[i].values[b][:, real].double(),
                maps.double(),
                queries.double(),
                rotations(rotary, int(at.max()) + 1, d, positions[0].ndim),
                d**-0.5,
            )
    return found


def rotations(rotary: Any, first: int, d: int, axes: int) -> torch.Tensor:
    """Matrices ``[512, d, d]`` of the 512 positions from ``first``: plane ``j`` is dimensions ``j`` and ``j + r/2``."""
    at = torch.arange(first, first + 512)
    cos, sin = rotary(torch.zeros(1, 1, 1), at[None] if axes == 2 else at[None, None].expand(3, 1, -1))
    cos, sin = cos.reshape(-1, 512, cos.shape[-1])[0].double(), sin.reshape(-1, 512, sin.shape[-1])[0].double()
    half, found = cos.shape[-1] // 2, torch.eye(d).double().repeat(512, 1, 1)
    for j in range(half):
        found[:, j, j] = found[:, j + half, j + half] = cos[:, j]
        found[:, j, j + half] = -sin[:, j]
        found[:, j + half, j] = sin[:, j]
    return found


def spied(lm, name: str, prompts, monkeypatch) -> dict[tuple[int, int], tuple[torch.Tensor, torch.Tensor]]:
    """By layer and prompt: the method's scores and the tokens that stay."""
    method, scored, found = resolve_intervention(name), [], []
    kind = type(method)
    plain, told = kind.scores, kind.kept

    def scores(self, held):
        scored.append(plain(self, held))
        return scored[-1]

    def kept(self, held, stays):
        told(self, held, stays)
        found.append((held.layer, scored[-1], stays))

    monkeypatch.setattr(kind, "scores", scores)
    monkeypatch.setattr(kind, "kept", kept)
    with method.on(lm), torch.inference_mode():
        lm.network.generate(**inputs_of(lm, prompts), max_new_tokens=1, do_sample=False)
    n = len(prompts)
    return {(i, k % n): (s, stays) for k, (i, s, stays) in enumerate(found)}


def grouped(x: torch.Tensor) -> torch.Tensor:
    """The mean over the two query heads of each of the two key heads."""
    return torch.stack([x[0:2].mean(0), x[2:4].mean(0)])


def knorm(seen: Seen) -> torch.Tensor:
    return -seen.keys.square().sum(-1).sqrt()


def tova(seen: Seen) -> torch.Tensor:
    return seen.maps[:, -1].mean(0).expand(2, -1)


def snapkv(seen: Seen) -> torch.Tensor:
    """Window 6, kernel 3."""
    n = seen.maps.shape[-1]
    row = seen.maps[:, n - 6 :, : n - 6].mean(1)
    smooth = torch.zeros_like(row)
    for j in range(n - 6):
        smooth[:, j] = sum(row[:, i] for i in (j - 1, j, j + 1) if 0 <= i < n - 6) / 3
    return torch.cat([grouped(smooth), torch.full((2, 6), float("inf"))], 1)


def h2o(seen: Seen) -> torch.Tensor:
    return grouped(seen.maps.sum(1))


def h2o_mean(seen: Seen) -> torch.Tensor:
    n = seen.maps.shape[-1]
    return grouped(seen.maps.sum(1)) / torch.arange(n, 0, -1)


def expected(seen: Seen) -> torch.Tensor:
    """The Gaussian integral of ``exp(q.k / sqrt(d))`` for queries turned by the mean rotation."""
    q, turn = seen.queries[:, 4:], seen.turns.mean(0)
    found = []
    for h in range(4):
        mean = turn @ q[h].mean(0)
        spread = turn @ torch.cov(q[h].T, correction=0) @ turn.T
        keys = seen.keys[h // 2]
        z = torch.stack([k @ mean * seen.scale + k @ spread @ k * seen.scale**2 / 2 for k in keys[4:]])
        found.append(torch.cat([torch.zeros(4), z.softmax(0)]))
    return grouped(torch.stack(found)) * seen.values.norm(dim=-1)


def first_ones(n: int, budget: int) -> set[int]:
    return set(range(min(4, budget // 2)))


CASES = {
    "evict/knorm": (knorm, lambda n, budget: set()),
    "evict/tova": (tova, lambda n, budget: {n - 1}),
    "evict/snapkv:window=6,kernel=3": (snapkv, lambda n, budget: set(range(n - 6, n))),
    "evict/h2o": (h2o, lambda n, budget: set(range(n - round(budget / 2), n))),
    "evict/h2o:mean=true,recent=0": (h2o_mean, lambda n, budget: set()),
    "evict/expected-attention": (expected, lambda n, budget: set(range(4))),
    "evict/streaming": (lambda seen: torch.arange(seen.keys.shape[1]).double().expand(2, -1), first_ones),
}


@pytest.mark.parametrize("name", CASES)
def test_scores_and_kept_sets(family, model, eager, clip, monkeypatch, name) -> None:
    """Under sdpa, in a padded batch, against the formula on what eager attention gives out."""
    formula, stays_anyway = CASES[name]
    prompts = prompts_of(clip)
    found = spied(model(family), f"{name}{',' if ':' in name else ':'}keep={KEEP}", prompts, monkeypatch)
    seen = observed(eager(family), prompts)
    assert set(found) == set(seen)
    for where, one in seen.items():
        scores, stays = found[where]
        wanted, n = formula(one), one.keys.shape[1]
        torch.testing.assert_close(scores.double(), wanted, atol=1e-5, rtol=1e-3)
        budget = -(-45 * n // 100)
        own = stays_anyway(n, budget)
        for head, kept in zip(scores, stays, strict=True):
            rest = [j for j in range(n) if j not in own]
            best = sorted(rest, key=lambda j: (-float(head[j]), j))[: budget - len(own)]
            assert kept.tolist() == sorted(own | set(best))


def test_moments_do_not_depend_on_how_queries_came(model, clip, monkeypatch) -> None:
    """Statistics merged token by token are those of all queries at once."""
    from otoscope.interventions.evict.evictor import Held
    from otoscope.interventions.evict.expected_attention import ExpectedAttention

    method, q = ExpectedAttention(), torch.randn(4, 30, 8, generator=torch.Generator().manual_seed(0))
    keys = torch.zeros(2, 30, 8)

    def held(part: torch.Tensor, memory: dict) -> Held:
        return Held(0, keys, keys, torch.arange(30).expand(2, -1), 30, part, 1.0, None, memory)

    memory: dict[str, Any] = {}
    for part in (q[:, :20], q[:, 20:21], q[:, 21:]):
        mean, spread = method._statistics(held(part, memory))
    whole_mean, whole = method._statistics(held(q, {}))
    torch.testing.assert_close(mean, whole_mean)
    torch.testing.assert_close(spread, whole)
    torch.testing.assert_close(whole[1], torch.cov(q[1, 4:].T, correction=0))


def test_few_tokens_keep_the_latest_of_the_protected(model, clip, monkeypatch) -> None:
    found = spied(model("qwen2_5_omni"), "evict/snapkv:keep=0.03,window=64", prompts_of(clip)[:1], monkeypatch)
    for scores, stays in found.values():
        n, kept = scores.shape[1], stays.shape[1]
        assert kept == -(-3 * n // 100)
        assert stays.tolist() == [list(range(n - kept, n))] * 2
