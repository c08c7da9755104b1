"""Spatial-AST and DSpAST. Tokens: three class tokens, then patches, mel varying fastest.

In DSpAST three branches go through the same layers one after the other, so a place in a layer is passed three times
per evaluation: distance, direction, event."""

from __future__ import annotations

from otoscope.core.sites import Site, SiteMap
from otoscope.models.sites.common import TOKENS, inside, parts, stream

_LAYER = "trunk.blocks.{layer}"
_IMAGE = ("batch", "plane", "spectrum", "mel")
_FRONT = Site("planes", "front", axes=_IMAGE, doc="levels and phase, before they are stretched")
_LAYERS = (
    Site("patches", "trunk.patches", axes=("batch", "channel", "frame", "band"), doc="patches, projected"),
    *stream(_LAYER, TOKENS),
    *inside(f"{_LAYER}.attention", "token"),
    *parts(f"{_LAYER}.attention", f"{_LAYER}.mlp_out", TOKENS),
)


def spatial_ast(n_layers: int) -> SiteMap:
    image = Site("image", "stem", axes=_IMAGE, doc="the one plane that is cut into patches")
    return SiteMap("spatial-ast", n_layers, (_FRONT, image, *_LAYERS))


def dspast(n_layers: int, branches: tuple[str, ...]) -> SiteMap:
    """``branches``: their names, in the network's order."""
    own = [
        site
        for i, name in enumerate(branches)
        for site in (
            Site(f"weighed_{name}", f"branches.{i}.weigh", axes=_IMAGE, doc="planes, as the branch weighs them"),
            Site(f"image_{name}", f"branches.{i}.stem", axes=_IMAGE, doc="the plane that the branch cuts into patches"),
            Site(f"final_{name}", f"branches.{i}.out", axes=TOKENS, doc="the map at the branch's end"),
        )
    ]
    return SiteMap("dspast", n_layers, (_FRONT, *own, *_LAYERS))
