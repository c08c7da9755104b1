"""Whisper's encoder, as ``transformers`` has it."""

from __future__ import annotations

from otoscope.core.sites import Site, SiteMap
from otoscope.models.sites.common import FRAMES, inside, parts, stream

_LAYER = "layers.{layer}"
_BEFORE = (
    Site("conv_1", "conv1", axes=("batch", "channel", "spectrum"), doc="first convolution, before its GELU"),
    Site("conv_2", "conv2", axes=("batch", "channel", "frame"), doc="second convolution, before its GELU"),
)
_AFTER = (Site("final", "layer_norm", axes=FRAMES, doc="after the final norm"),)


def site_map(n_layers: int) -> SiteMap:
    """Queries are scaled before they are seen."""
    layers = (
        *stream(_LAYER),
        *inside(f"{_LAYER}.self_attn"),
        *parts(f"{_LAYER}.self_attn", f"{_LAYER}.fc2"),
    )
    return SiteMap("whisper", n_layers, (*_BEFORE, *layers, *_AFTER))
