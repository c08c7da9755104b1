"""How many audio tokens stay, and which: scores in, positions out.

All methods share the rule, so that they are compared at equal kept shares: ``ceil(keep * n)`` of the tokens of a
prompt, or of each clip. Ties go to the earlier token; scores are compared in float32.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from otoscope.core.errors import UsageError


def check_keep(keep: float, where: str) -> None:
    """Raise :class:`UsageError` unless ``0 < keep <= 1``."""
    if isinstance(keep, bool) or not isinstance(keep, int | float) or not 0 < keep <= 1:
        raise UsageError(f"keep={keep} is no share above 0 and up to 1", where=where)


def check_count(value: int, parameter: str, where: str) -> None:
    """Raise :class:`UsageError` unless ``value`` is a whole number from 1."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise UsageError(f"{parameter}={value} is no number from 1", where=where)


def kept_count(keep: float, n: int) -> int:
    """Of ``n`` tokens, at least 1 where there is any. Shares such as 0.1 are not exact in binary, hence the slack."""
    return min(n, max(1, math.ceil(keep * n - 1e-9))) if n else 0


def top(scores: Tensor, n: int) -> Tensor:
    """Indices ``[..., n]`` of the largest of ``scores`` ``[..., N]``, rising."""
    order = torch.argsort(scores.float(), dim=-1, descending=True, stable=True)
    return order[..., :n].sort(-1).values


def top_with_floor(scores: Tensor, n: int, segments: int) -> Tensor:
    """As :func:`top`, but every one of ``segments`` equal stretches keeps its best token first (ours: temporal
    coverage). Raises :class:`UsageError` where ``n`` is too few for that."""
    if segments > n:
        raise UsageError(f"a floor of {segments} segments needs as many tokens, and {n} are kept")
    firsts = [
        bounds[0] + int(scores[bounds[0] : bounds[1]].float().argmax()) for bounds in stretches(len(scores), segments)
    ]
    lifted = scores.float().clone()
    lifted[firsts] = float("inf")
    return top(lifted, n)


def stretches(n: int, segments: int) -> Sequence[tuple[int, int]]:
    """``segments`` half-open stretches of ``n`` tokens, as equal as can be; empty ones are left out."""
    edges = [round(i * n / segments) for i in range(segments + 1)]
    return [(a, b) for a, b in pairwise(edges) if b > a]
