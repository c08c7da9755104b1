"""DAC's encoder: convolutional blocks, each with a stride."""

from __future__ import annotations

from otoscope.core.sites import Site, SiteMap
from otoscope.models.sites.common import stream

_AXES = ("batch", "channel", "frame")


def site_map(n_blocks: int) -> SiteMap:
    stem = Site("stem", "conv1", axes=_AXES, doc="the first convolution")
    frames = Site("frames", "conv2", axes=_AXES, doc="what goes into the quantiser")
    return SiteMap("dac", n_blocks, (stem, *stream("block.{layer}", _AXES), frames))
