"""The two-channel tiny network. Its layers are PyTorch's fused ones: while their map is watched they run unfused, which
rounds differently (about 1e-6)."""

from __future__ import annotations

from otoscope.core.sites import Site, SiteMap
from otoscope.models.sites.common import inside, stream

_LAYER = "blocks.{layer}"


def site_map(n_layers: int, n_convs: int) -> SiteMap:
    axes = ("batch", "channel", "frame")
    stem = (Site(f"conv_{i}", f"stem.{i}", axes=axes, doc="before norm and GELU") for i in range(n_convs))
    positions = Site("positions", "positions", axes=axes, doc="the convolutional positions that are added")
    attention_map = (s for s in inside(_LAYER) if s.at == "attention_map")
    return SiteMap("tiny-stereo", n_layers, (*stem, positions, *stream(_LAYER), *attention_map))
