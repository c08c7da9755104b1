"""The two trained tiny encoders. Tokens are patches, time varying fastest. Their layers are PyTorch's fused ones: while
their map is watched they run unfused, which rounds differently (about 1e-6)."""

from __future__ import annotations

from otoscope.core.sites import Site, SiteMap
from otoscope.models.sites.common import TOKENS, inside, stream

_LAYER = "blocks.{layer}"
_BEFORE = (
    Site("planes", "planes", axes=("batch", "plane", "mel", "spectrum"), doc="levels, and phase where it is heard"),
    Site("patches", "patches", axes=("batch", "channel", "band", "frame"), doc="patches, projected"),
)
_AFTER = (Site("final", "norm", axes=TOKENS, doc="after the final norm"),)


def site_map(n_layers: int) -> SiteMap:
    attention_map = (s for s in inside(_LAYER, "token") if s.at == "attention_map")
    return SiteMap("tiny-binaural", n_layers, (*_BEFORE, *stream(_LAYER, TOKENS), *attention_map, *_AFTER))
