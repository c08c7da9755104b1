"""What our training loops share: the learning rate over a run, and averaged weights."""

from __future__ import annotations

import math

import torch
from torch import nn


def learning_rate(peak: float, warm_up: int, steps: int, step: int) -> float:
    """Linear warm-up to ``peak``, then half a cosine to zero."""
    if step < warm_up:
        return peak * (step + 1) / warm_up
    gone = (step - warm_up) / max(1, steps - warm_up)
    return peak * 0.5 * (1.0 + math.cos(math.pi * gone))


@torch.no_grad()
def average_into(mean: nn.Module, network: nn.Module, keep: float, step: int) -> None:
    """Move ``mean`` towards ``network`` after ``step``: an exponential average, short at first, or it would hold the
    start. A tensor of ``network`` that is divided among processes is put together first."""
    keep = min(keep, (step + 1) / (step + 10))
    for ours, theirs in zip(mean.parameters(), network.parameters(), strict=True):
        ours.lerp_(getattr(theirs, "full_tensor", lambda theirs=theirs: theirs)(), 1.0 - keep)
