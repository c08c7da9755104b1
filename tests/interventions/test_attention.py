"""Inside attention: the map against PyTorch's kernel, and against the eager maps of the library itself."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor, nn
from torch.nn import functional

from otoscope.core.errors import ModelError
from otoscope.core.sites import At, Place, Site, SiteMap
from otoscope.interventions.attention import attention_map
from otoscope.interventions.hooks import Change, Observe, Skip, hooked

INSIDE: tuple[At, ...] = ("query", "key", "value", "attention_map", "attention_result")


def tensors(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


# --- the formula ------------------------------------------------------------------------------------------------


def masks() -> dict[str, dict[str, Any]]:
    keep = tensors(2, 1, 5, 7, seed=9) > -0.3
    empty = keep.clone()
    empty[0, 0, 2] = False
    return {
        "none": {},
        "boolean": {"attn_mask": keep},
        "keys": {"attn_mask": keep[:, :, :1]},
        "additive": {"attn_mask": tensors(2, 4, 5, 7, seed=8)},
        "an empty row": {"attn_mask": empty},
        "an empty row, additive": {"attn_mask": torch.zeros(2, 1, 5, 7).masked_fill(~empty, -math.inf)},
        "causal": {"is_causal": True},
        "scale": {"scale": 0.7},
    }


class Bare(nn.Module):
    """The call alone."""

    def __init__(self, **how: Any) -> None:
        super().__init__()
        self.how = how

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return functional.scaled_dot_product_attention(q, k, v, **self.how)


def inside(network: nn.Module, actions: list[tuple[At, Callable[[Tensor], Any], bool]], path: str = "") -> Any:
    """``hooked`` with (place, function, does it change)."""
    sites = [Place(Site(at, path, at)) for at, _, _ in actions]
    kinds = [(Change if change else Observe)(s, f) for s, (_, f, change) in zip(sites, actions, strict=True)]
    return hooked(network, SiteMap("a test", 0, ()), kinds)


@pytest.mark.parametrize("how", masks())
@pytest.mark.parametrize("grouped", [False, True])
def test_the_explicit_map_equals_the_kernel(how: str, grouped: bool) -> None:
    options = masks()[how]
    heads = 2 if grouped else 4
    q, k, v = tensors(2, 4, 5, 6), tensors(2, heads, 7, 6, seed=1), tensors(2, heads, 7, 6, seed=2)
    network = Bare(**options, **({"enable_gqa": True} if grouped else {}))
    bare = network(q, k, v)
    seen: list[Tensor] = []
    with inside(network, [("attention_map", seen.append, False)]):
        torch.testing.assert_close(network(q, k, v), bare, atol=1e-6, rtol=0)
    assert seen[0].shape == (2, 4, 5, 7)
    rows = seen[0].sum(-1)
    expected = torch.ones_like(rows)
    if "empty" in how:
        expected[0, :, 2] = 0
    torch.testing.assert_close(rows, expected)
    with inside(network, [(at, id, False) for at in INSIDE if at != "attention_map"]):
        assert torch.equal(network(q, k, v), bare)


def test_the_map_in_closed_form() -> None:
    """Two keys whose scores differ by log 3: a quarter and three quarters."""
    q, k = torch.tensor([[[[2.0]]]]), torch.tensor([[[[0.0], [math.log(3.0)]]]])
    torch.testing.assert_close(attention_map(q, k, scale=0.5)[0, 0, 0], torch.tensor([0.25, 0.75]))
    kept = attention_map(q, k, torch.tensor([True, False]))
    assert torch.equal(kept[0, 0, 0], torch.tensor([1.0, 0.0]))


def test_precision_follows_the_queries() -> None:
    q, k = tensors(1, 1, 3, 4, dtype=torch.float64), tensors(1, 1, 3, 4, seed=1, dtype=torch.float64)
    exact = torch.softmax(q @ k.mT / 2, -1)
    assert torch.allclose(attention_map(q, k), exact, atol=1e-14, rtol=0)
    half = attention_map(q.bfloat16(), k.bfloat16())
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.double(), exact, atol=0.02, rtol=0)


def test_a_nan_is_not_hidden_by_a_mask() -> None:
    q = tensors(1, 1, 2, 4)
    q[0, 0, 0, 0] = math.nan
    found = attention_map(q, q, torch.ones(2, 2, dtype=torch.bool))
    assert found.isnan().any()


def test_changes_at_all_five_places() -> None:
    q, k, v = tensors(1, 2, 3, 4), tensors(1, 2, 5, 4, seed=1), tensors(1, 2, 5, 4, seed=2)
    network = Bare()

    def after(at: At, change: Callable[[Tensor], Tensor]) -> Tensor:
        with inside(network, [(at, change, True)]):
            return network(q, k, v)

    assert torch.equal(after("query", lambda x: 2 * x), network(2 * q, k, v))
    assert torch.equal(after("key", lambda x: 2 * x), network(q, 2 * k, v))
    assert torch.equal(after("value", lambda x: 2 * x), network(q, k, 2 * v))
    uniform = after("attention_map", lambda p: torch.full_like(p, 1 / 5))
    torch.testing.assert_close(uniform, v.mean(2, keepdim=True).expand(1, 2, 3, 4))
    assert torch.equal(after("attention_result", lambda x: -x), -network(q, k, v))


def test_dropout_is_refused_where_the_map_is_wanted() -> None:
    network, x = Bare(dropout_p=0.5), tensors(1, 2, 3, 4)
    with inside(network, [("attention_map", id, False)]), pytest.raises(ModelError, match="dropout is on"):
        network(x, x, x)


# --- the library's networks ------------------------------------------------------------------------------------------


def decoder(kind: str, how: str) -> nn.Module:
    torch.manual_seed(3)
    sizes = {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "intermediate_size": 48,
        "vocab_size": 20,
        "max_position_embeddings": 64,
        "initializer_range": 0.15,
        "attn_implementation": how,
    }
    if kind == "llama":
        return transformers.LlamaModel(transformers.LlamaConfig(**sizes)).eval().requires_grad_(False)
    return transformers.Qwen2Model(transformers.Qwen2Config(**sizes)).eval().requires_grad_(False)


def whisper(how: str) -> nn.Module:
    torch.manual_seed(3)
    config = transformers.WhisperConfig(
        d_model=32,
        encoder_layers=2,
        encoder_attention_heads=4,
        encoder_ffn_dim=48,
        num_mel_bins=8,
        max_source_positions=10,
        init_std=0.15,
        attn_implementation=how,
    )
    network = transformers.models.whisper.modeling_whisper.WhisperEncoder(config)
    return network.eval().requires_grad_(False)


CASES: dict[str, tuple[Callable[[str], nn.Module], dict[str, Tensor], int]] = {
    "llama": (lambda how: decoder("llama", how), {"input_ids": torch.arange(12).reshape(2, 6)}, 2),
    "qwen2": (lambda how: decoder("qwen2", how), {"input_ids": torch.arange(12).reshape(2, 6)}, 2),
    "qwen2, padded": (
        lambda how: decoder("qwen2", how),
        {"input_ids": torch.arange(12).reshape(2, 6), "attention_mask": torch.arange(6) >= torch.tensor([[0], [2]])},
        2,
    ),
    "whisper": (whisper, {"input_features": tensors(2, 8, 20)}, 4),
}
SITES = SiteMap("a decoder", 2, tuple(Site(at, "layers.{layer}.self_attn", at) for at in INSIDE))


@pytest.fixture(params=CASES)
def case(request) -> tuple[Callable[[str], nn.Module], dict[str, Tensor], int]:
    return CASES[request.param]


@pytest.mark.parametrize("how", ["sdpa", "eager"])
def test_watching_the_library(case, how: str, untouched) -> None:
    build, inputs, key_heads = case
    network = untouched(build(how))
    bare = network(**inputs).last_hidden_state
    eager = build("eager")(**inputs, output_attentions=True).attentions
    seen: dict[str, Tensor] = {}
    watch = [Observe(p, lambda x, p=p: seen.__setitem__(str(p), x)) for s in SITES.sites for p in SITES.places(s.name)]
    without_map = [a for a in watch if a.place.site.at != "attention_map"]
    with hooked(network, SITES, without_map):
        assert torch.equal(network(**inputs).last_hidden_state, bare)
    with hooked(network, SITES, watch):
        out = network(**inputs).last_hidden_state
    torch.testing.assert_close(out, bare, atol=1e-5, rtol=0)  # two layers of weights far from zero
    if how == "eager":
        assert torch.equal(out, bare)
    frames = bare.shape[1]
    real = inputs.get("attention_mask", torch.ones(2, frames, dtype=torch.bool))
    for layer in (0, 1):
        assert seen[f"query.{layer}"].shape == seen[f"attention_result.{layer}"].shape == (2, 4, frames, 8)
        assert seen[f"key.{layer}"].shape == seen[f"value.{layer}"].shape == (2, key_heads, frames, 8)
        probabilities = seen[f"attention_map.{layer}"]
        assert probabilities.shape == (2, 4, frames, frames)
        mine = probabilities.transpose(1, 2)[real]  # rows of padding are nobody's business
        torch.testing.assert_close(mine, eager[layer].transpose(1, 2)[real], atol=1e-6, rtol=0)
        value = seen[f"value.{layer}"].repeat_interleave(4 // key_heads, 1)
        torch.testing.assert_close(
            (probabilities @ value).transpose(1, 2)[real],
            seen[f"attention_result.{layer}"].transpose(1, 2)[real],
            atol=1e-6,
            rtol=0,
        )


@pytest.mark.parametrize("at", INSIDE)
def test_changes_do_the_same_in_both_implementations(case, at: At, untouched) -> None:
    build, inputs, _ = case
    outs = []
    for how in ("sdpa", "eager"):
        network = untouched(build(how))
        bare = network(**inputs).last_hidden_state
        with hooked(network, SITES, [Change(p, lambda x: 0.5 * x) for p in SITES.places(at, [1])]):
            outs.append(network(**inputs).last_hidden_state)
        assert not torch.allclose(outs[-1], bare, atol=1e-4)
        assert torch.equal(network(**inputs).last_hidden_state, bare)
    mask = inputs.get("attention_mask")
    real = slice(None) if mask is None else mask
    torch.testing.assert_close(outs[0][real], outs[1][real], atol=1e-5, rtol=0)


@pytest.mark.parametrize("how", ["sdpa", "eager"])
def test_a_single_token_after_a_cache(how: str) -> None:
    """Decoding: the library packs grouped queries of one token into another shape, which nobody sees here."""
    network, ids = decoder("llama", how), torch.arange(12).reshape(2, 6)
    mask = torch.arange(6) >= torch.tensor([[0], [2]])  # with a mask the library packs
    whole = network(input_ids=ids, attention_mask=mask).last_hidden_state
    seen: dict[str, Tensor] = {}
    watch = [Observe(SITES.places(at, [1])[0], lambda x, at=at: seen.__setitem__(at, x)) for at in INSIDE]
    cache = transformers.DynamicCache()
    name = "cache" if "cache" in inspect.signature(network.forward).parameters else "past_key_values"
    network(input_ids=ids[:, :5], attention_mask=mask[:, :5], use_cache=True, **{name: cache})
    with hooked(network, SITES, watch):
        last = network(input_ids=ids[:, 5:], attention_mask=mask, use_cache=True, **{name: cache}).last_hidden_state
    torch.testing.assert_close(last[:, 0], whole[:, 5], atol=1e-5, rtol=0)
    assert seen["query"].shape == seen["attention_result"].shape == (2, 4, 1, 8)
    assert seen["attention_map"].shape == (2, 4, 1, 6)
    assert not seen["attention_map"][1, :, :, :2].any()
    torch.testing.assert_close(
        seen["attention_map"] @ seen["value"].repeat_interleave(2, 1), seen["attention_result"], atol=1e-6, rtol=0
    )


def test_the_librarys_interface_comes_back_also_after_an_exception(untouched) -> None:
    kind = transformers.modeling_utils.AttentionInterface
    before = kind.get_interface
    network = untouched(whisper("eager"))

    def fail(x: Tensor) -> Tensor:
        raise RuntimeError("in the map")

    with pytest.raises(RuntimeError), hooked(network, SITES, [Change(p, fail) for p in SITES.places("attention_map")]):
        network(**CASES["whisper"][1])
    assert kind.get_interface is before


def test_an_implementation_without_weights_shows_all_but_the_map(monkeypatch, untouched) -> None:
    """As flash attention does, which needs a GPU: neither PyTorch's function nor weights."""

    def fused(owner: nn.Module, q: Tensor, k: Tensor, v: Tensor, mask: Any, **rest: Any) -> tuple[Tensor, None]:
        return ((q @ k.mT * rest["scaling"]).softmax(-1) @ v).transpose(1, 2).contiguous(), None

    kind = transformers.modeling_utils.AttentionInterface
    monkeypatch.setattr(kind, "_global_mapping", {**kind._global_mapping, "fused-test": fused})
    network, inputs = untouched(whisper("eager")), CASES["whisper"][1]
    changes = [Change(p, lambda x: 2 * x) for p in SITES.places("query") + SITES.places("attention_result")]
    with hooked(network, SITES, changes):
        expected = network(**inputs).last_hidden_state
    for module in network.modules():
        if hasattr(module, "config"):
            module.config._attn_implementation = "fused-test"
    with hooked(network, SITES, changes):
        torch.testing.assert_close(network(**inputs).last_hidden_state, expected, atol=1e-5, rtol=0)
    watch = [Observe(p, id) for p in SITES.places("attention_map")]
    with pytest.raises(ModelError, match="map of WhisperAttention is out of reach"), hooked(network, SITES, watch):
        network(**inputs)


@pytest.mark.parametrize("how", ["sdpa", "eager"])
def test_an_observer_may_run_the_same_network(how: str, untouched) -> None:
    """Its attention is not taken for that of the module that is watched."""
    network, inputs = untouched(whisper(how)), CASES["whisper"][1]
    bare = network(**inputs).last_hidden_state
    projection = Site("projected", "layers.{layer}.self_attn.q_proj")
    sites = SiteMap("a decoder", 2, (*SITES.sites, projection))
    maps: list[Tensor] = []
    again: list[Tensor] = []
    actions = [
        Observe(sites.places("attention_map", [1])[0], maps.append),
        Observe(sites.places("projected", [1])[0], lambda _: again.append(network(**inputs).last_hidden_state)),
    ]
    with hooked(network, sites, actions):
        out = network(**inputs).last_hidden_state
    for one in (out, again[0]):
        torch.testing.assert_close(one, bare, atol=1e-5, rtol=0)
    assert len(again) == 1
    assert len(maps) == 2


def test_within_a_skipped_layer_nothing_is_computed(untouched) -> None:
    network, inputs = untouched(whisper("sdpa")), CASES["whisper"][1]
    sites = SiteMap("a decoder", 2, (*SITES.sites, Site("block", "layers.{layer}")))
    skip = Skip(sites.places("block", [1])[0], lambda module, args, kwargs: args[0])
    with hooked(network, sites, [skip]):
        out = network(**inputs)
    torch.testing.assert_close(
        out.last_hidden_state, network.layer_norm(network(**inputs, output_hidden_states=True).hidden_states[1])
    )
    watch = Observe(sites.places("attention_map", [1])[0], id)
    with pytest.raises(ModelError, match=r"without coming by attention_map\.1"), hooked(network, sites, [skip, watch]):
        network(**inputs)


# --- PyTorch's own module --------------------------------------------------------------------------------------------


class MultiHead(nn.Module):
    def __init__(self, need_weights: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.need_weights, self.attention = need_weights, nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.attention(x, x, x, need_weights=self.need_weights)[0]


def test_multi_head_attention_with_weights_is_out_of_reach(untouched) -> None:
    network = untouched(MultiHead(True).eval())
    with (
        pytest.raises(ModelError, match="MultiheadAttention at attention computed its attention out of reach"),
        inside(network, [("query", id, False)], "attention"),
    ):
        network(tensors(1, 3, 8))


def test_multi_head_attention_without_weights_is_reached(untouched) -> None:
    """Its own fast path is off meanwhile; the weights that it gives elsewhere are the reference."""
    network, x = untouched(MultiHead(False).eval().requires_grad_(False)), tensors(2, 3, 8)
    bare, seen = network(x), []
    original = functional.scaled_dot_product_attention
    with inside(network, [("attention_map", seen.append, False)], "attention"):
        torch.testing.assert_close(network(x), bare, atol=1e-6, rtol=0)
    weights = network.attention(x, x, x, average_attn_weights=False)[1]
    torch.testing.assert_close(seen[0], weights, atol=1e-6, rtol=0)
    assert functional.scaled_dot_product_attention is original


def test_the_fused_layer_calls_no_attention_module_and_says_so(untouched) -> None:
    """PyTorch's fused encoder layer never calls its ``self_attn``; named as the layer, its attention is reached."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True)).eval().requires_grad_(False)
    untouched(network)
    x = tensors(2, 3, 8)
    bare, seen = network(x), []
    sites = SiteMap("fused", 0, (Site("out", "0"), Site("map", "0.self_attn", "attention_map")))
    watch = [Observe(sites.places(name)[0], id) for name in ("out", "map")]
    with pytest.raises(ModelError, match="without coming by map"), hooked(network, sites, watch):
        network(x)
    with inside(network, [("attention_map", seen.append, False)], "0"):
        torch.testing.assert_close(network(x), bare, atol=1e-6, rtol=0)
    assert seen[0].shape == (2, 2, 3, 3)


def test_two_attentions_in_one_module_are_ambiguous(flow, inputs, untouched) -> None:
    untouched(flow)
    with (
        pytest.raises(ModelError, match="computed its attention 2 times in one call"),
        inside(flow, [("attention_map", id, False)], "transformer.layers.1"),
    ):
        flow(**inputs)
