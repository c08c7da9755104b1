"""wav2vec 2.0 and its relatives of one layout in ``transformers``: data2vec-audio, HuBERT, UniSpeech, UniSpeech-SAT."""

from __future__ import annotations

from otoscope.core.sites import Site, SiteMap
from otoscope.models.sites.common import FRAMES, inside, parts, stream

KINDS = ("data2vec-audio", "hubert", "unispeech", "unispeech-sat", "wav2vec2")
LAYER = "encoder.layers.{layer}"

BEFORE = (
    Site("conv_features", "feature_extractor", axes=("batch", "channel", "frame"), doc="after the convolutions"),
    Site("projected", "feature_projection", axes=FRAMES, doc="normed and projected to the width of the layers"),
    Site("positions", "encoder.pos_conv_embed", axes=FRAMES, doc="the convolutional positions that are added"),
)


def norm(stable: bool) -> Site:
    """The one norm outside the layers: after them where norms come first, else before them."""
    name, doc = ("final", "after the final norm") if stable else ("embedded", "what enters the first layer")
    return Site(name, "encoder.layer_norm", axes=FRAMES, doc=doc)


def site_map(kind: str, n_layers: int, stable: bool) -> SiteMap:
    """``stable``: norm before attention (``do_stable_layer_norm``)."""
    layers = (
        *stream(LAYER),
        *inside(f"{LAYER}.attention"),
        *parts(f"{LAYER}.attention", f"{LAYER}.feed_forward"),
    )
    return SiteMap(kind, n_layers, (*BEFORE, norm(stable), *layers))
