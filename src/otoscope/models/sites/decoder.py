"""Decoders of audio language models in ``transformers``: Qwen2, Llama, Qwen2.5-Omni's thinker, Phi.

Queries, keys and values inside the attention are seen as they meet (after the rotary embedding, past ones from the
cache in front); ``q_proj``, ``k_proj`` and ``v_proj``, or ``qkv_proj`` where one matrix gives all three, before it.
"""

from __future__ import annotations

from otoscope.core.sites import Site, SiteMap
from otoscope.models.sites.common import TOKENS, inside, parts, stream


def site_map(family: str, path: str, n_layers: int, *, fused: bool, audio: Site | None = None) -> SiteMap:
    """``path`` leads to the decoder in the network. ``audio`` is where the clips are handed to it."""
    layer = f"{path}.layers.{{layer}}"
    attention = f"{layer}.self_attn"
    names = ("qkv_proj",) if fused else ("q_proj", "k_proj", "v_proj")
    projections = tuple(
        Site(name, f"{attention}.{name}", axes=TOKENS, doc="before the rotary embedding, heads side by side")
        for name in names
    )
    layers = (
        *stream(layer, TOKENS),
        *projections,
        *inside(attention, "token"),
        *parts(attention, f"{layer}.mlp", TOKENS),
    )
    turns = Site("positions", f"{path}.rotary_emb", "input", "position_ids", doc="positions that become angles")
    before = (audio, turns) if audio is not None else (turns,)
    return SiteMap(family, n_layers, (*before, *layers, Site("final", f"{path}.norm", axes=TOKENS, doc="final norm")))
