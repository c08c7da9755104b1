"""Long sounds in pieces, joined by linear cross-fades (ours; the published code separates a sound whole).

Every piece but a lone one is equally long: the last is moved back to end with the sound. Each piece fades in while the
one before it fades out, over the last ``overlap`` of the latter, so at every place the weights sum to one.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def plan(total: int, length: int | None, overlap: int) -> list[range]:
    """The pieces of ``total`` frames: at most ``length`` each, ``overlap`` frames or more common to neighbours."""
    if length is None or total <= length:
        return [range(total)]
    starts = [*range(0, total - length, length - overlap), total - length]
    return [range(start, start + length) for start in starts]


def join(parts: Sequence[Tensor], places: Sequence[range], overlap: int, per_frame: int = 1) -> Tensor:
    """Pieces ``[n, ...]`` of ``per_frame`` values per frame at their ``places`` -> the whole ``[total, ...]``."""
    out, fade = parts[0], overlap * per_frame
    weights = (torch.arange(fade, dtype=parts[0].dtype, device=parts[0].device) + 0.5) / max(1, fade)
    weights = weights.reshape(-1, *[1] * (out.ndim - 1))
    for part, place in zip(parts[1:], places[1:], strict=True):
        before = len(out) - fade
        own = part[before - place.start * per_frame :]
        mixed = out[before:] * (1 - weights) + own[:fade] * weights
        out = torch.cat([out[:before], mixed, own[fade:]])
    return out
