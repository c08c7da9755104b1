"""The named places of the separation network, as data.

Values of whole sequences are ``[B, T, d]``; text and time memory ``[B, S, d]`` (time alone: ``S`` is 1). The memory is
text plus time; it is embedded once per evaluation and feeds every cross-attention, so the additive text pathway and
cross-attention are in series: zeroing ``text_memory`` leaves the cross-attention with the time alone, zeroing
``cross_attn_out`` removes both.
"""

from __future__ import annotations

from otoscope.core.sites import At, Site, SiteMap
from otoscope.models.separators.dit import DiTConfig

_FRAMES = ("batch", "frame", "channel")
_TOKENS = ("batch", "token", "channel")
_LAYER = "transformer.layers.{layer}"

_BEFORE = (
    Site("schedule", "schedule", axes=("time",), doc="the solver's time grid, before each solve", outside=True),
    Site("state", "state", axes=_FRAMES, doc="the state, as this evaluation sees it"),
    Site("input_proj", "proj", axes=_FRAMES, doc="state and mixture, projected to the network's width"),
    Site("text_memory", "memory_proj", axes=_TOKENS, doc="the text, projected, before the time is added"),
    Site("time_memory", "time_memory", axes=_TOKENS, doc="the sinusoid that is added to every token of the text"),
    Site("memory_embedded", "transformer.y_embedder", axes=_TOKENS, doc="what all cross-attention reads"),
)
_VIDEO = (Site("video_add", "align_masked_video", axes=_FRAMES, doc="gated video, added before the transformer"),)
_ANCHORS = (
    Site("anchor_add", "embed_anchors", axes=_FRAMES, doc="gated anchors, added before the transformer"),
    Site("anchor_gate", "embed_anchors.gamma", axes=("gate",), doc="the one gate of the anchors, before its tanh"),
)


def _attention(prefix: str, module: str) -> tuple[Site, ...]:
    path = f"{_LAYER}.{module}"
    keys = "frame" if prefix == "self" else "token"
    heads, memory = ("batch", "head", "frame", "unit"), ("batch", "head", keys, "unit")
    inside: tuple[tuple[str, At, tuple[str, ...], str], ...] = (
        ("q", "query", heads, "queries, normalised" + (" and rotated" if prefix == "self" else "")),
        ("k", "key", memory, "keys, likewise"),
        ("v", "value", memory, "values"),
        ("attn_map", "attention_map", ("batch", "head", "frame", f"of {keys}"), "attention probabilities"),
    )
    result = Site(f"{prefix}_attn_out", path, axes=_FRAMES, doc="after the output projection")
    return (*(Site(f"{prefix}_{name}", path, at, axes=axes, doc=doc) for name, at, axes, doc in inside), result)


_LAYERS = (
    *_attention("self", "attention"),
    *_attention("cross", "cross_attention"),
    Site("ffn_out", f"{_LAYER}.feed_forward", axes=_FRAMES, doc="feed-forward, before its gate"),
    Site("block_out", _LAYER, axes=_FRAMES, doc="the residual stream after the layer"),
)
_AFTER = (Site("velocity", "velocity", axes=_FRAMES, doc="what the network gives the solver"),)

#: The flow time that the network is told at every evaluation.
CLOCK = Site("time", "", at="input", item="time", doc="flow time in [0, 1]")


def site_map(config: DiTConfig) -> SiteMap:
    """The sites of a network of this configuration; pathways that it lacks have none."""
    sites = (
        *_BEFORE,
        *(() if config.video_dim is None else _VIDEO),
        *(() if config.anchor_dim is None else _ANCHORS),
        *_LAYERS,
        *_AFTER,
    )
    return SiteMap("sam-audio", config.layers, sites, CLOCK)
