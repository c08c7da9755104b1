"""WavJEPA-Nat. Tokens: those of the left ear, then those of the right. It is called once per window.

Its layers are PyTorch's: the adapter runs them unfused, so that watching changes no bit of what ``encode`` gives. A
call of the network alone is fused, and rounds differently where it is watched inside."""

from __future__ import annotations

from otoscope.core.sites import Site, SiteMap
from otoscope.models.sites.common import TOKENS, inside, stream

_LAYER = "blocks.{layer}"


def site_map(n_layers: int, ears: int) -> SiteMap:
    """``ears`` front ends: 1 where both ears share one, which is then called twice."""
    names = ("left", "right") if ears == 2 else ("both",)
    fronts = (
        Site(f"features_{name}", f"ears.{i}", axes=("batch", "frame", "channel"), doc="after the ear's convolutions")
        for i, name in enumerate(names)
    )
    projected = Site("projected", "project", axes=TOKENS, doc="projected to the width of the layers")
    final = Site("final", "final_norm", axes=TOKENS, doc="after the final norm")
    return SiteMap(
        "wavjepa-nat", n_layers, (*fronts, projected, *stream(_LAYER, TOKENS), *inside(_LAYER, "token"), final)
    )
