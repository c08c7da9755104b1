"""The Audio Spectrogram Transformer. Tokens: class, distillation, then patches, time varying fastest."""

from __future__ import annotations

from otoscope.core.sites import Site, SiteMap
from otoscope.models.sites.common import TOKENS, inside, parts, stream

_LAYER = "layers.{layer}"
_BEFORE = (
    Site("patches", "embeddings.patch_embeddings", axes=TOKENS, doc="patches, projected"),
    Site("embedded", "embeddings", axes=TOKENS, doc="with class tokens and positions"),
)
_AFTER = (Site("final", "layernorm", axes=TOKENS, doc="after the final norm"),)


def site_map(n_layers: int) -> SiteMap:
    layers = (
        *stream(_LAYER, TOKENS),
        *inside(f"{_LAYER}.attention", "token"),
        *parts(f"{_LAYER}.attention", f"{_LAYER}.mlp", TOKENS),
    )
    return SiteMap("audio-spectrogram-transformer", n_layers, (*_BEFORE, *layers, *_AFTER))
