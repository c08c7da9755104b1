"""Rows of attention for scores: from audio tokens' keys and a few queries, in float32, without the kernel's help.

Before the rotary embedding the vectors come from the projections of the layer below ``K``; after it, from inside the
attention. Queries of a group share keys, which are repeated and never averaged. Shapes: queries ``[H, t, d]``, keys
``[H_kv, S, d]``, maps ``[H, t, ...]``.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from otoscope.core.sites import SiteMap
from otoscope.interventions.hooks import Action
from otoscope.interventions.prune.engine import Row
from otoscope.interventions.prune.pruner import watch


def watch_projections(sites: SiteMap, layer: int, watched: dict[str, Tensor]) -> list[Action]:
    """Queries and keys of ``layer`` before the rotary embedding."""
    fused = any(s.name == "qkv_proj" for s in sites.sites)
    return [watch(sites, name, layer, watched) for name in (("qkv_proj",) if fused else ("q_proj", "k_proj"))]


def watch_attention(sites: SiteMap, layer: int, watched: dict[str, Tensor]) -> list[Action]:
    """Queries and keys of ``layer`` as they meet."""
    return [watch(sites, name, layer, watched) for name in ("self_q", "self_k")]


def projected(row: Row) -> tuple[Tensor, Tensor]:
    """Queries and keys ``[H, S, d]``, ``[H_kv, S, d]`` of the layer below, before the rotary embedding."""
    attention = _attention(row)
    d = int(attention.head_dim)
    if "qkv_proj" in row.watched:
        whole = row.watched["qkv_proj"].unflatten(-1, (-1, d))
        n_kv = int(attention.num_key_value_heads)
        n = whole.shape[-2] - 2 * n_kv
        q, k = whole[:, :n], whole[:, n : n + n_kv]
    else:
        q, k = (row.watched[name].unflatten(-1, (-1, d)) for name in ("q_proj", "k_proj"))
    return q.transpose(0, 1), k.transpose(0, 1)


def met(row: Row) -> tuple[Tensor, Tensor]:
    """Queries and keys of the layer below after the rotary embedding."""
    return row.watched["self_q"], row.watched["self_k"][:, : len(row.real)]


def logits(query: Tensor, key: Tensor, scaling: float) -> Tensor:
    """``[H, t, S]``."""
    key = key.repeat_interleave(query.shape[0] // key.shape[0], dim=0)
    return query.float() @ key.float().mT * scaling


def attention_rows(row: Row, query: Tensor, key: Tensor, rows: Tensor) -> Tensor:
    """Attention ``[H, t, S]`` of the queries at positions ``rows`` over all earlier real tokens and themselves."""
    z = logits(query[:, rows], key, scaling(row))
    hidden = ~row.real[None] | (torch.arange(len(row.real), device=rows.device)[None] > rows[:, None])
    return z.masked_fill(hidden[None], float("-inf")).softmax(-1)


def rotated(x: Tensor, angles: tuple[Tensor, Tensor]) -> Tensor:
    """The rotary embedding of ``x`` ``[H, S, d]`` in halves, as Llama, Qwen and Phi have it; dimensions beyond the
    angles are left as they are."""
    cos, sin = (a.float() for a in angles)
    turns = cos.shape[-1]
    y, rest = x[..., :turns].float(), x[..., turns:].float()
    a, b = y.chunk(2, dim=-1)
    return torch.cat([y * cos + torch.cat([-b, a], -1) * sin, rest], -1)


def scaling(row: Row) -> float:
    attention = _attention(row)
    return float(getattr(attention, "scaling", int(attention.head_dim) ** -0.5))


def _attention(row: Row) -> Any:
    """The attention of layer ``K``, whose sizes are those of the layer below."""
    return row.layer.self_attn
