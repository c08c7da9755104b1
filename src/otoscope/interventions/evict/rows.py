"""Rows of attention for scores: a few queries over all keys of one prompt, in float32, without the kernel's help."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from otoscope.interventions.evict.evictor import Held


def attention(held: Held, first: int = 0, last: int | None = None) -> Tensor:
    """Attention ``[H, t, n]`` of the queries ``first`` to ``last`` (half-open, of ``held.queries``) over the tokens
    that are not later. A query that sees nothing has a row of zeros."""
    assert held.queries is not None
    t, shared = held.queries.shape[1], held.keys.shape[0]
    queries = held.queries[:, first:last].float()
    at = torch.arange(held.seen - t, held.seen, device=queries.device)[first:last]
    rows = queries.shape[1]
    # Queries that share keys are rows of one product, and keys that are later than all of them are left out of it.
    n = int((held.at <= at[-1]).sum(1).max())
    z = queries.reshape(shared, -1, queries.shape[-1]) @ held.keys[:, :n].float().mT * held.scale
    z = z.unflatten(1, (-1, rows))
    later = held.at[:, None, None, :n] > at[None, None, :, None]
    found = z.masked_fill_(later, float("-inf")).softmax(-1).nan_to_num_(0.0).flatten(0, 1)
    return functional.pad(found, (0, held.n - n))


def by_group(x: Tensor, held: Held) -> Tensor:
    """The mean of ``x`` ``[H, ...]`` over the queries' heads that share keys: ``[H_kv, ...]``."""
    return x.unflatten(0, (held.keys.shape[0], -1)).mean(1)
