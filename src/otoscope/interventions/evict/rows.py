"""Rows of attention for scores: a few queries over all keys of one prompt, in float32, without the kernel's help."""

from __future__ import annotations

import torch
from torch import Tensor

from otoscope.interventions.evict.evictor import Held


def attention(held: Held, first: int = 0, last: int | None = None) -> Tensor:
    """Attention ``[H, t, n]`` of the queries ``first`` to ``last`` (half-open, of ``held.queries``) over the tokens
    that are not later. A query that sees nothing has a row of zeros."""
    assert held.queries is not None
    t = held.queries.shape[1]
    queries = held.queries[:, first:last].float()
    at = torch.arange(held.seen - t, held.seen, device=queries.device)[first:last]
    group = queries.shape[0] // held.keys.shape[0]
    z = queries @ held.keys.float().repeat_interleave(group, 0).mT * held.scale
    later = held.at.repeat_interleave(group, 0)[:, None, :] > at[None, :, None]
    return z.masked_fill(later, float("-inf")).softmax(-1).nan_to_num(0.0)


def by_group(x: Tensor, held: Held) -> Tensor:
    """The mean of ``x`` ``[H, ...]`` over the queries' heads that share keys: ``[H_kv, ...]``."""
    return x.unflatten(0, (held.keys.shape[0], -1)).mean(1)
