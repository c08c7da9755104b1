"""GRAM-T. Tokens of each window: a summary, then patches, time varying fastest. All windows go through at once."""

from __future__ import annotations

from otoscope.core.sites import Site, SiteMap
from otoscope.models.sites.common import inside, parts, stream

_LAYER = "blocks.{layer}"
_TOKENS = ("window", "token", "channel")
_BEFORE = (
    Site("log_mel", "log_mel", axes=("batch", "ear", "mel", "spectrum"), doc="before windows are cut and normalised"),
    Site("patches", "patches", axes=("window", "channel", "band", "frame"), doc="patches, projected"),
)
_AFTER = (Site("final", "norm", axes=_TOKENS, doc="after the final norm"),)


def site_map(n_layers: int) -> SiteMap:
    layers = (
        *stream(_LAYER, _TOKENS),
        *inside(f"{_LAYER}.attention", "token"),
        *parts(f"{_LAYER}.attention", f"{_LAYER}.shrink", _TOKENS),
    )
    return SiteMap("gram-t", n_layers, (*_BEFORE, *layers, *_AFTER))
