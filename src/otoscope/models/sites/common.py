"""Sites that most transformers have."""

from __future__ import annotations

from otoscope.core.sites import Site

#: The axes of a sequence.
FRAMES = ("batch", "frame", "channel")
TOKENS = ("batch", "token", "channel")
_DOCS = {
    "self_q": "queries, as they meet the keys",
    "self_k": "keys, likewise",
    "self_v": "values",
    "self_heads": "what each head has heard, before the output projection",
}


def inside(path: str, along: str = "frame") -> tuple[Site, ...]:
    """Inside the one self-attention that the module at ``path`` computes, over the axis ``along``."""
    heads = ("batch", "head", along, "unit")
    attention_map = Site(
        "self_attn_map", path, "attention_map", axes=("batch", "head", along, f"of {along}"), doc="probabilities"
    )
    return (
        Site("self_q", path, "query", axes=heads, doc=_DOCS["self_q"]),
        Site("self_k", path, "key", axes=heads, doc=_DOCS["self_k"]),
        Site("self_v", path, "value", axes=heads, doc=_DOCS["self_v"]),
        attention_map,
        Site("self_heads", path, "attention_result", axes=heads, doc=_DOCS["self_heads"]),
    )


def stream(path: str, axes: tuple[str, ...] = FRAMES) -> tuple[Site, Site]:
    """The residual stream before and after the layer at ``path``."""
    return (
        Site("block_in", path, "input", axes=axes, doc="the residual stream before the layer"),
        Site("block_out", path, axes=axes, doc="the residual stream after the layer"),
    )


def parts(attention: str, feed_forward: str, axes: tuple[str, ...] = FRAMES) -> tuple[Site, Site]:
    """What the two halves of a layer put out."""
    return (
        Site("self_attn_out", attention, axes=axes, doc="after the output projection"),
        Site("ffn_out", feed_forward, axes=axes, doc="feed-forward"),
    )
