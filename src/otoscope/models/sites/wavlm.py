"""WavLM: wav2vec 2.0's layout, but its attention asks PyTorch for averaged weights, which are computed where nothing
can be reached. So there are no sites inside the attention. A layer's and an attention's outputs are tuples (the second
part is the position bias, made in the first layer and handed on); the sites are their first parts."""

from __future__ import annotations

from otoscope.core.sites import SiteMap
from otoscope.models.sites.common import parts, stream
from otoscope.models.sites.wav2vec2 import BEFORE, LAYER, norm


def site_map(n_layers: int, stable: bool) -> SiteMap:
    layers = (*stream(LAYER), *parts(f"{LAYER}.attention", f"{LAYER}.feed_forward"))
    return SiteMap("wavlm", n_layers, (*BEFORE, norm(stable), *layers))
