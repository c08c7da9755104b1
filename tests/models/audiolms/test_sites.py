"""The decoder's map against the network: places exist, have the axes they say, and watching them changes nothing."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from otoscope.core.nouns import Prompt
from otoscope.interventions.hooks import Change, Observe, hooked


@pytest.fixture
def prompts(clip) -> list[Prompt]:
    return [Prompt("what do you hear?", (clip(i, 0.8 + i),)) for i in range(2)]


def everywhere(sites, seen: dict[str, list[Any]], names=None) -> list[Observe]:
    places = [p for s in sites.sites if names is None or s.name in names for p in sites.places(s.name)]
    return [Observe(p, lambda x, p=p: seen.setdefault(str(p), []).append(x)) for p in places]


def test_watching_changes_nothing(family, model, prompts) -> None:
    lm, seen = model(family), {}
    bare = [r.token_ids for r in lm.generate(prompts, 3)]
    with hooked(lm.network, lm.sites, everywhere(lm.sites, seen)):
        assert [r.token_ids for r in lm.generate(prompts, 3)] == bare
    width = lm.prepare(prompts).width
    for site in lm.sites.sites:
        for place in lm.sites.places(site.name):
            values = seen[str(place)]
            assert values[0].ndim == len(site.axes) or not site.axes, place
            if site.per_layer:
                assert len(values) == 3
                assert width in values[0].shape, place
    for name, maps in seen.items():
        if name.startswith("self_attn_map"):
            for m in maps:
                padding = torch.zeros(m.shape[:-1], dtype=torch.bool)
                if m.shape[-2] == width:
                    padding |= ~lm.prepare(prompts).inputs["attention_mask"].bool()[:, None, :]
                # A row of padding sees nothing.
                torch.testing.assert_close(m.sum(-1), (~padding).float(), atol=1e-5, rtol=0)
    assert lm.sites.n_layers == 4


def test_projections_are_before_the_rotary_embedding(family, model, prompts) -> None:
    """``q_proj`` is the weights times the normed stream; inside the attention its vectors are turned, not scaled."""
    lm, seen = model(family), {}
    fused = family == "phi4_multimodal"
    with hooked(lm.network, lm.sites, everywhere(lm.sites, seen, ("block_in", "q_proj", "qkv_proj", "self_q"))):
        lm.generate(prompts[:1], 1)
    layer = lm.network.get_decoder().layers[1]
    projection = layer.self_attn.qkv_proj if fused else layer.self_attn.q_proj
    found = seen["qkv_proj.1" if fused else "q_proj.1"][0]
    with torch.no_grad():
        assert torch.equal(found, projection(layer.input_layernorm(seen["block_in.1"][0])))
    heads = found[..., :64].unflatten(-1, (4, 16)).transpose(1, 2)
    turned = seen["self_q.1"][0]
    torch.testing.assert_close(turned.norm(dim=-1), heads.norm(dim=-1), atol=1e-5, rtol=1e-5)
    assert torch.equal(turned[..., 0, :], heads[..., 0, :])  # position 0 turns nothing
    assert not torch.allclose(turned, heads, atol=1e-2)


def test_audio_is_what_enters_at_the_spans(family, model, prompts) -> None:
    lm, seen = model(family), {}
    with hooked(lm.network, lm.sites, everywhere(lm.sites, seen, ("audio", "block_in"))):
        start, stop = lm.generate(prompts[:1], 1)[0].spans[0]
    handed, entered = seen["audio"][0].reshape(-1, 64), seen["block_in.0"][0][0, start:stop]
    torch.testing.assert_close(handed[: stop - start], entered, atol=0, rtol=0)
    change = Change(lm.sites.places("audio")[0], lambda x: 0 * x)
    with hooked(lm.network, lm.sites, [change, *everywhere(lm.sites, deaf := {}, ("block_in",))]):
        lm.generate(prompts[:1], 1)
    assert not deaf["block_in.0"][0][0, start:stop].any()
