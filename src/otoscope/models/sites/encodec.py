"""EnCodec's encoder: one stack of convolutions, residual blocks, ELUs and an LSTM. It is called once per chunk."""

from __future__ import annotations

from otoscope.core.sites import Site, SiteMap
from otoscope.models.sites.common import stream

_AXES = ("batch", "channel", "frame")
_AFTER = (Site("frames", "", axes=_AXES, doc="what goes into the quantiser"),)


def site_map(stages: int, residual: int) -> SiteMap:
    """``stages`` of ``residual`` blocks, an ELU and a convolution; one convolution before, three parts after."""
    return SiteMap("encodec", 1 + stages * (residual + 2) + 3, (*stream("layers.{layer}", _AXES), *_AFTER))
