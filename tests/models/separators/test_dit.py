"""The network against the fact sheet: a float64 reference, parameter counts, and each statement by itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from otoscope.core.errors import InputError, ModelError
from otoscope.models.separators import blocks, dit
from otoscope.models.separators.sites import CLOCK, site_map

T, S = 21, 5


def count(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def inputs(c: dit.DiTConfig, seed: int = 3, batch: int = 1) -> dict[str, torch.Tensor]:
    g = torch.Generator().manual_seed(seed)
    anchors = torch.zeros(batch, T, dtype=torch.long)
    anchors[:, 4:9], anchors[:, 12:15] = dit.WANTED, dit.UNWANTED
    return {
        "state": torch.randn(batch, T, c.channels, generator=g),
        "time": torch.tensor(0.40625),
        "mixture": torch.randn(batch, T, c.channels, generator=g),
        "text": torch.randn(batch, S, c.text_dim, generator=g),
        "anchors": anchors,
        "video": torch.randn(batch, T, c.video_dim or 1, generator=g),
    }


def as_numpy(given: dict[str, torch.Tensor]) -> dict:
    own = {k: v[0].double().numpy() for k, v in given.items() if k not in ("time", "anchors")}
    return {**own, "anchors": given["anchors"][0].numpy(), "time": float(given["time"])}


def test_equals_the_float64_reference_in_full(network, numpy_velocity) -> None:
    given = inputs(network.config)
    with torch.no_grad():
        ours = network.double()(**{k: v if k == "anchors" else v.double() for k, v in given.items()})[0].numpy()
    wanted = numpy_velocity(network, **as_numpy(given))
    # Norms, rotations and sinusoids are float32 on purpose, also in a float64 network.
    assert np.abs(wanted).max() > 0.5
    np.testing.assert_allclose(ours, wanted, atol=2e-5)


def test_contiguous_heads_give_something_else(network, numpy_velocity) -> None:
    given = as_numpy(inputs(network.config))
    strided = numpy_velocity(network, **given)
    assert np.abs(numpy_velocity(network, **given, contiguous_heads=True) - strided).max() > 0.05


def test_without_text_and_video_it_is_the_reference_with_time_and_zeros(network, numpy_velocity) -> None:
    given = inputs(network.config)
    del given["text"], given["video"], given["anchors"]
    with torch.no_grad():
        ours = network(**given)[0].numpy()
    rest = {"text": None, "anchors": np.zeros(T, int), "video": np.zeros((T, network.config.video_dim))}
    arrays = {k: given[k][0].double().numpy() for k in ("state", "mixture")}
    np.testing.assert_allclose(ours, numpy_velocity(network, time=0.40625, **arrays, **rest), atol=2e-5)


def test_parameter_counts_of_the_tiny_network(tiny) -> None:
    assert count(dit.FlowNetwork(tiny)) == 346_658


@pytest.mark.parametrize(
    ("size", "transformer", "tensors"), [("small", 219.8, 12), ("base", 643.1, 16), ("large", 2928.8, 22)]
)
def test_parameter_counts_of_the_published_sizes(size: str, transformer: float, tensors: int) -> None:
    config = dit.SIZES[size]
    with torch.device("meta"):
        network = dit.FlowNetwork(config)
    assert round(count(network.transformer) / 1e6, 1) == transformer
    glue = count(network) - count(network.transformer)
    assert round(glue / 1e6, 1) == {"small": 2.8, "base": 4.1, "large": 7.6}[size]
    assert config.hidden == {"small": 2752, "base": 4096, "large": 7552}[size]
    assert len(network.transformer.state_dict()) == 18 * tensors + 19
    layer = network.transformer.layers[0]
    share = {"small": (50, 50, 101), "base": (151, 151, 302), "large": (698, 698, 1404)}[size]
    parts = (layer.attention, layer.cross_attention, layer.feed_forward)
    assert tuple(round(count(p) * config.layers / 1e6) for p in parts) == share


def test_names_are_the_published_ones(tiny) -> None:
    names = dit.FlowNetwork(tiny).state_dict()
    layer = "transformer.layers.3."
    attention = [
        f"{a}.{n}.weight"
        for a in ("attention", "cross_attention")
        for n in ("wq", "wk", "wv", "wo", "q_norm", "k_norm")
    ]
    rest = [
        "scale_shift_table",
        "attention_norm.weight",
        "ffn_norm.weight",
        *(f"feed_forward.w{i}.weight" for i in (1, 2, 3)),
    ]
    assert {n for n in names if n.startswith(layer)} == {layer + n for n in (*attention, *rest)}
    other = {n.removeprefix("transformer.") for n in names if n.startswith("transformer.") and ".layers." not in n}
    conv = [
        f"x_embedder.block.block{i}.{m}.{p}"
        for i in (1, 2)
        for m in ("groupnorm", "project")
        for p in ("weight", "bias")
    ]
    gated = [f"{e}_embedder.projection.w{i}.weight" for e in "yt" for i in (1, 2, 3)]
    last = ["t_block.weight", "t_block.bias", "final_layer_scale_shift_table", "norm.weight", "output.weight"]
    assert other == {*conv, *gated, *last}
    glue = "proj.weight proj.bias memory_proj.weight memory_proj.bias align_masked_video.gate embed_anchors.gate"
    assert {*glue.split(), "embed_anchors.embed.weight", "embed_anchors.proj.weight"} <= set(names)
    assert names["embed_anchors.embed.weight"].shape == (4, 8)
    assert not names["embed_anchors.embed.weight"][dit.PAD].any()


def test_zeroed_memory_proj_is_no_text(network) -> None:
    given = inputs(network.config)
    with torch.no_grad():
        with_text = network(**given)
        bare = network(**{**given, "text": None})
        network.memory_proj.weight.zero_()
        network.memory_proj.bias.zero_()
        zeroed = network(**given)
    torch.testing.assert_close(zeroed, bare, atol=2e-6, rtol=0)
    assert (with_text - bare).abs().max() > 0.05


def test_zeroed_cross_attention_is_another_thing_and_forgets_the_text(network) -> None:
    given, other = inputs(network.config), inputs(network.config, seed=8)
    with torch.no_grad():
        bare = network(**{**given, "text": None})
        for layer in network.transformer.layers:
            layer.cross_attention.wo.weight.zero_()
        silenced = network(**given)
        assert torch.equal(silenced, network(**{**given, "text": other["text"]}))
    assert (silenced - bare).abs().max() > 0.05  # the time goes through cross-attention as well


def test_padding_takes_part_in_the_group_norm(network) -> None:
    given = inputs(network.config)
    longer = {k: functional.pad(given[k], (0, 0, 0, 9)) for k in ("state", "mixture", "video")}
    anchors = functional.pad(given["anchors"], (0, 9), value=dit.PAD)
    mask = torch.arange(T + 9)[None] < T
    with torch.no_grad():
        alone = network(**given)
        padded = network(**{**given, **longer, "anchors": anchors}, mask=mask)[:, :T]
        together = network(**{k: v if v.ndim == 0 else torch.cat([v, v.flip(1)]) for k, v in given.items()})[:1]
    assert (padded - alone).abs().max() > 0.01
    torch.testing.assert_close(together, alone, atol=5e-6, rtol=0)


def test_the_mask_keeps_padding_out_of_attention_and_of_the_text(network) -> None:
    given = inputs(network.config)
    filled = torch.cat([given["text"], torch.full((1, 3, network.config.text_dim), 9.0)], 1)
    kept = torch.arange(S + 3)[None] < S
    with torch.no_grad():
        torch.testing.assert_close(
            network(**{**given, "text": filled}, text_mask=kept), network(**given), atol=2e-6, rtol=0
        )
        attention = network.transformer.layers[0].attention
        x = torch.randn(1, 6, network.config.dim)
        torch.testing.assert_close(
            attention(x, x, torch.tensor([[True] * 4 + [False] * 2]))[:, :4], attention(x[:, :4], x[:, :4])
        )


def test_null_frames_and_missing_video_are_no_no_ops_unless_their_gates_are_shut(network) -> None:
    given = inputs(network.config)
    del given["video"], given["anchors"]
    with torch.no_grad():
        before = network(**given)
        network.embed_anchors.gate.zero_()
        no_anchor = network(**given)
        network.align_masked_video.gate.zero_()
        neither = network(**given)
        without = dit.FlowNetwork(replace(network.config, video_dim=None, anchor_dim=None)).eval()
        rest = {k: v for k, v in network.state_dict().items() if not k.startswith(("align_", "embed_"))}
        without.load_state_dict(rest)
        assert torch.equal(without(**given), neither)
    assert (before - no_anchor).abs().max() > 1e-3
    with torch.no_grad():
        network.embed_anchors.gate.fill_(0.5)
        added = network.embed_anchors(torch.full((1, T), dit.NULL))
    assert added.abs().amax(-1).min() > 1e-3  # every frame, though no span was given
    assert (no_anchor - neither).abs().max() > 1e-3


def test_rotation_keeps_lengths_and_sees_only_distances() -> None:
    g = torch.Generator().manual_seed(0)
    q, k = torch.randn(2, 1, 1, 1, 16, generator=g)
    angles = blocks.rope_angles(40, 16, 10_000, torch.device("cpu"))
    assert angles[1, 0] == 1.0
    np.testing.assert_allclose(angles[1].numpy(), 20_000.0 ** (-np.arange(8) / 8), rtol=1e-6)
    turned_q, turned_k = blocks.rotate(q.expand(1, 1, 40, 16), angles), blocks.rotate(k.expand(1, 1, 40, 16), angles)
    torch.testing.assert_close(turned_q.norm(dim=-1), q.norm(dim=-1).expand(1, 1, 40))
    dots = turned_q[0, 0] @ turned_k[0, 0].T
    torch.testing.assert_close(dots.diagonal(-7), dots[7, 0].expand(33), atol=1e-5, rtol=1e-5)
    assert abs(float(dots[7, 0] - dots[0, 7])) > 1e-3


def test_queries_are_normed_before_they_are_rotated(network) -> None:
    attention = network.transformer.layers[1].attention
    x = torch.randn(1, T, network.config.dim, generator=torch.Generator().manual_seed(1))
    angles = blocks.rope_angles(T, 16, 256, x.device)
    seen = []
    real = functional.scaled_dot_product_attention

    def core(q, k, v, attn_mask=None):
        seen.append((q, k))
        return real(q, k, v, attn_mask=attn_mask)

    with pytest.MonkeyPatch.context() as patch, torch.no_grad():
        patch.setattr(functional, "scaled_dot_product_attention", core)
        attention(x, x, None, angles)
        q = attention.split(attention.wq(x))
    torch.testing.assert_close(seen[0][0], blocks.rotate(attention.q_norm(q), angles))
    # The norm's weight differs from unit to unit, so the other order is not the same.
    assert (seen[0][0] - attention.q_norm(blocks.rotate(q, angles))).abs().max() > 0.1


def test_every_site_is_there_and_pathways_that_are_not_have_none(tiny) -> None:
    network, sites = dit.FlowNetwork(tiny), site_map(tiny)
    for site in sites.sites:
        for place in sites.places(site.name):
            network.get_submodule(place.path)
    names = """text_memory time_memory memory_embedded input_proj video_add anchor_add self_q self_k self_v
        self_attn_map self_attn_out cross_q cross_k cross_v cross_attn_map cross_attn_out ffn_out block_out velocity
        state anchor_gate schedule"""
    assert {s.name for s in sites.sites} == set(names.split())
    bare = site_map(replace(tiny, video_dim=None, anchor_dim=None))
    gone = {s.name for s in sites.sites} - {s.name for s in bare.sites}
    assert gone == {"video_add", "anchor_add", "anchor_gate"}
    assert sites.clock is CLOCK


def test_a_probe_sets_the_gate(network) -> None:
    given = inputs(network.config)
    with torch.no_grad():
        handle = network.embed_anchors.gamma.register_forward_hook(lambda m, a, out: torch.full_like(out, 5.0))
        hijacked = network(**given)
        handle.remove()
        network.embed_anchors.gate.fill_(5.0)
        assert torch.equal(network(**given), hijacked)


def test_bfloat16_runs_and_stays_near(network) -> None:
    given = inputs(network.config)
    with torch.no_grad():
        full = network(**given)
        low = {k: v.bfloat16() if v.is_floating_point() and k != "time" else v for k, v in given.items()}
        got = network.bfloat16()(**low)
    assert got.dtype == torch.bfloat16
    assert (got.float() - full).abs().max() < 0.1 * full.abs().max()


def test_refusals(tiny) -> None:
    with pytest.raises(ModelError, match="heads of even size"):
        replace(tiny, heads=5)
    network = dit.FlowNetwork(replace(tiny, video_dim=None, anchor_dim=None, max_positions=16))
    given = inputs(tiny)
    short = {k: given[k][:, :8] for k in ("state", "mixture")}
    with pytest.raises(InputError, match="no video pathway"):
        network(**short, time=given["time"], video=given["video"][:, :8])
    with pytest.raises(InputError, match="no anchor pathway"):
        network(**short, time=given["time"], anchors=given["anchors"][:, :8])
    with pytest.raises(InputError, match="text mask"):
        network(**short, time=given["time"], text_mask=torch.ones(1, 3, dtype=torch.bool))
    with pytest.raises(InputError, match="21 frames are more than the 16"):
        network(given["state"], given["time"], given["mixture"])
