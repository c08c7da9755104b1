"""Every site map against its network: every site is there, has the axes it says, and watching changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from otoscope.core.audio import Audio
from otoscope.core.errors import ModelError
from otoscope.core.nouns import Sited
from otoscope.core.sites import SiteMap
from otoscope.interventions.hooks import Change, Observe, hooked
from otoscope.models.encoders.adapt import adapt
from otoscope.models.encoders.gramt import network as gramt
from otoscope.models.encoders.spatial_ast.adapter import Options, SpatialEncoder
from otoscope.models.encoders.spatial_ast.published import Published
from otoscope.models.encoders.spatial_ast.trunk import Shape
from otoscope.models.encoders.view import EncoderView
from otoscope.models.encoders.wavjepa.adapter import WavJepaEncoder
from otoscope.models.encoders.wavjepa.network import Sizes
from otoscope.models.resolve import load, resolve
from otoscope.models.separators.sites import site_map
from otoscope.models.sites import FAMILIES

#: Small checkpoints of the library, by the family that their map must say.
LIBRARY = {
    "wav2vec2": "wav2vec2",
    "wav2vec2_stable": "wav2vec2",
    "hubert": "hubert",
    "wavlm": "wavlm",
    "data2vec": "data2vec-audio",
    "whisper": "whisper",
    "ast": "audio-spectrogram-transformer",
    "encodec24": "encodec",
    "encodec48": "encodec",
    "dac": "dac",
}
NAMED = {
    "tiny-wav2vec2:init=random,seed=1": "wav2vec2",
    "tiny-stereo:init=random,seed=1": "tiny-stereo",
    "tiny-binaural-general": "tiny-binaural",
    "tiny-binaural-spatial:init=random,seed=1": "tiny-binaural",
}
WAVJEPA = Sizes(convs=((8, 10, 5), *(((8, 3, 2),) * 4), (8, 2, 2)), width=16, heads=4, depth=2, hidden=32, window=1_760)
SPATIAL = Shape(width=24, depth=2, heads=3, events=5)


def spatial(name: str) -> SpatialEncoder:
    return SpatialEncoder(name, Published(name, stage=3), Options(), random_seed=1, shape=SPATIAL)


OURS: dict[str, Callable[[], Any]] = {
    "wavjepa-nat": lambda: WavJepaEncoder(seed=1, sizes=WAVJEPA),
    "gram-t": lambda: resolve("gram-t:init=random,seed=1").encoder,
    "spatial-ast": lambda: spatial("spatial-ast"),
    "dspast": lambda: spatial("dspast"),
}
#: Seconds of the sound; what is left out hears half a second.
SECONDS = {"wavjepa-nat": 0.25, "encodec48": 1.5}
TINY_GRAMT = gramt.Config(patch=(16, 8), width=16, heads=4, depth=2, hidden=32)


@pytest.fixture(params=[*LIBRARY, *NAMED, *OURS])
def model(request, checkpoint, monkeypatch) -> tuple[EncoderView, str, Audio]:
    """A loaded view, the family of its map, a sound."""
    name = request.param
    monkeypatch.setattr(gramt, "VARIANTS", {**gramt.VARIANTS, "patch": TINY_GRAMT})
    if name in LIBRARY:
        view, family = load(str(checkpoint(name))), LIBRARY[name]
    elif name in NAMED:
        view, family = load(name), NAMED[name]
    else:
        view, family = EncoderView(OURS[name]()), name
        view.load()
    n = round(SECONDS.get(name, 0.5) * view.card.rate)
    samples = 0.1 * np.random.default_rng(0).standard_normal((view.card.channels, n))
    return view, family, Audio(samples.astype(np.float32), view.card.rate)


def everywhere(sites: SiteMap, seen: dict[str, list[Any]]) -> list[Observe]:
    places = [p for s in sites.sites if not s.outside for p in sites.places(s.name)]
    return [Observe(p, lambda x, p=p: seen.setdefault(str(p), []).append(x)) for p in places]


def assert_axes(sites: SiteMap, seen: dict[str, list[Any]]) -> None:
    for site in sites.sites:
        for place in () if site.outside else sites.places(site.name):
            values = seen[str(place)]
            assert values, place
            for value in values:
                assert isinstance(value, Tensor), place
                assert value.ndim == len(site.axes), (place, value.shape, site.axes)
                assert site.doc, site.name


def outputs(view: EncoderView, sound: Audio) -> dict[Any, np.ndarray]:
    return dict(view.encode([sound], ["all", "last"])[0].frames)


def test_watching_everything_changes_nothing(model, untouched) -> None:
    view, family, sound = model
    assert isinstance(view, Sited)
    network, sites = untouched(view.network), view.sites
    assert sites.family == family
    assert family in FAMILIES
    bare = outputs(view, sound)
    seen: dict[str, list[Any]] = {}
    watch = everywhere(sites, seen)
    with hooked(network, sites, []):
        assert same(outputs(view, sound), bare)
    with hooked(network, sites, [a for a in watch if a.place.site.at != "attention_map"]):
        assert same(outputs(view, sound), bare)
    with hooked(network, sites, watch):
        close = outputs(view, sound)
    for layer, frames in bare.items():
        np.testing.assert_allclose(close[layer], frames, atol=1e-5, rtol=0)
    assert_axes(sites, seen)
    for name, maps in seen.items():
        if name.startswith("self_attn_map"):
            assert all(torch.allclose(m.sum(-1), torch.ones(m.shape[:-1]), atol=1e-5) for m in maps)
    assert same(outputs(view, sound), bare)


def test_the_stream_is_what_the_encoder_gives(model) -> None:
    """A change of the stream between two layers is heard by the second; what leaves one enters the next."""
    view, _, sound = model
    sites, seen = view.sites, {}
    with hooked(view.network, sites, everywhere(sites, seen)):
        bare = outputs(view, sound)
    for layer in range(sites.n_layers - 1):
        after = [x.clone() for x in seen[f"block_out.{layer}"]]
        for mine, its in zip(after, seen[f"block_in.{layer + 1}"], strict=True):
            assert torch.equal(mine, its)
    last = sites.places("block_out", [-1])
    with hooked(view.network, sites, [Change(p, lambda x: x + torch.linspace(-1, 1, x.shape[-1])) for p in last]):
        changed = outputs(view, sound)
    assert not np.allclose(changed["last"], bare["last"], atol=1e-3)


def same(a: dict[Any, np.ndarray], b: dict[Any, np.ndarray]) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) for k in a)


def test_the_flow_network(flow, inputs, untouched) -> None:
    untouched(flow)
    sites, seen = site_map(flow.config), {}
    watch = everywhere(sites, seen)
    inputs |= {"video": torch.randn(2, 12, 16), "anchors": torch.randint(0, 3, (2, 12))}
    bare = flow(**inputs)
    with hooked(flow, sites, [a for a in watch if a.place.site.at != "attention_map"]):
        assert torch.equal(flow(**inputs), bare)
    with hooked(flow, sites, watch):
        torch.testing.assert_close(flow(**inputs), bare, atol=1e-5, rtol=0)
    assert_axes(sites, seen)
    assert seen["cross_attn_map.0"][0].shape == (2, 4, 12, 5)
    assert not seen["cross_attn_map.0"][0][1, :, :, 3:].any()  # the padding of the text


def test_eager_gives_the_same_bits(checkpoint, untouched) -> None:
    """The library's own eager attention: even its map is watched without a change."""
    view = load(str(checkpoint("hubert")))
    network, sites = untouched(view.network), view.sites
    network.set_attn_implementation("eager")
    sound = Audio(0.1 * np.random.default_rng(0).standard_normal((1, 8000)).astype(np.float32), 16_000)
    bare, seen = outputs(view, sound), {}
    with hooked(network, sites, everywhere(sites, seen)):
        assert same(outputs(view, sound), bare)
    assert_axes(sites, seen)


@pytest.mark.parametrize("family", ["mimi", "xcodec", "wav2vec2_bert"])
def test_a_family_without_a_map_says_which_have_one(checkpoint, family: str) -> None:
    with pytest.raises(ModelError, match=r"has no site map.*wav2vec2, wavjepa-nat, wavlm, whisper"):
        _ = resolve(str(checkpoint(family))).sites


@pytest.mark.parametrize("name", ["logmel", "random-conv"])
def test_what_has_no_network_has_no_sites(name: str) -> None:
    view = resolve(name)
    for attribute in ("sites", "network"):
        with pytest.raises(ModelError, match="ReferenceEncoder has no site map"):
            getattr(view, attribute)


class Mine(nn.Module):
    rate, channels = 16_000, 1

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(1, 4, 8, stride=8)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x).transpose(1, 2)


def test_a_module_of_the_users_may_bring_a_map() -> None:
    from otoscope.core.sites import Site

    with pytest.raises(ModelError, match=r"Mine has no site map.*may bring one as \.sites"):
        _ = EncoderView(adapt(Mine)).sites
    theirs = type("Theirs", (Mine,), {"sites": SiteMap("theirs", 0, (Site("conv", "conv"),))})
    view = EncoderView(adapt(theirs))
    sound = Audio(np.ones((1, 800), np.float32), 16_000)
    with hooked(view.network, view.sites, [Change(p, lambda x: 0 * x) for p in view.sites.places("conv")]):
        assert not view.encode([sound])[0].frames["last"].any()
    assert view.encode([sound])[0].frames["last"].any()
