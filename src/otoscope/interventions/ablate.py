"""Ablation of any named site: zero, mean, noise of equal norm, or the value under another prompt.

Zeroing pushes activations off their distribution; the mean over the sound's own frames keeps their level, noise their
norm, and ``resample`` (the value that the same state gives under another prompt) everything but the meaning, which
makes it the cleanest (ours; the study, arXiv 2606.10046, zeroes). ``start`` and ``end`` bound flow time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from otoscope.audio.binaural import child
from otoscope.core import clock
from otoscope.core.errors import UsageError
from otoscope.core.sites import Place, SiteMap
from otoscope.interventions.acting import Acting, check_seed, check_times, layer_list
from otoscope.interventions.hooks import Action, Change, places, within
from otoscope.interventions.shadow import patch
from otoscope.interventions.tally import Tally

KINDS = ("zero", "mean", "noise", "resample")


@dataclass(frozen=True)
class Ablate(Acting):
    """``site`` in ``layers`` (none: all). ``prompt``: the other prompt of ``resample``; ``seed``: of ``noise``."""

    name: ClassVar[str] = "ablate"
    site: str = ""
    kind: Literal["zero", "mean", "noise", "resample"] = "zero"
    layers: str | int | None = None
    start: float = 0.0
    end: float = 1.0
    prompt: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UsageError(f"there is no kind={self.kind}", where=self.name, fix=f"It is one of {', '.join(KINDS)}.")
        if not self.site:
            raise UsageError("which site?", where=self.name, fix="Write ablate:site=cross_attn_out.")
        if (self.kind == "resample") != (self.prompt is not None):
            raise UsageError("resample, and it alone, needs prompt=TEXT", where=self.name)
        layer_list(self.layers, self.name)
        check_seed(self.seed, self.name)
        check_times(self.start, self.end, self.name)

    def actions(self, model: Any, sites: SiteMap, tally: Tally) -> Sequence[Action]:
        due = within(self.start, self.end)
        wanted = places(sites, self.site, layer_list(self.layers, self.name))
        if self.kind == "resample":
            return patch(model, str(self.prompt), wanted, due)
        return [Change(place, self._make(place), due) for place in wanted]

    def _make(self, place: Place) -> Any:
        if self.kind == "zero":
            return torch.zeros_like
        if self.kind == "mean":
            return mean_over_frames
        return lambda value: same_norm_noise(value, self.seed, str(place))


def mean_over_frames(value: Tensor) -> Tensor:
    """Every frame (token) becomes the mean of all: the second to last axis."""
    return value.mean(-2, keepdim=True).expand_as(value)


def same_norm_noise(value: Tensor, seed: int, place: str) -> Tensor:
    """Gaussian noise with the norm of each frame; one draw per place and evaluation, whatever the device."""
    tick = clock.now()
    purpose = (place, tick.step, tick.stage)
    draw = torch.Generator().manual_seed(int(child(seed, "ablate", *map(str, purpose)).integers(2**62)))
    noise = torch.randn(value.shape, generator=draw).to(value.device, value.dtype)
    norm = lambda x: x.float().norm(dim=-1, keepdim=True)  # noqa: E731
    return (noise * (norm(value) / norm(noise).clamp_min(1e-12))).to(value.dtype)
