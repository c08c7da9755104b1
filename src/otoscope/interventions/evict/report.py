"""What an evictor has done, counted since the last look."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass
class Evicted:
    """The report (an ``InterventionReport``). ``prompts``: of every layer and prompt, tokens before and after the
    eviction at its end, the same of sound; ``notes`` say in words what a reader must know."""

    notes: list[str] = field(default_factory=list)
    prompts: list[tuple[int, int, int, float]] = field(default_factory=list)
    before: list[int] = field(default_factory=list)  # bytes of each cache
    after: list[int] = field(default_factory=list)
    in_the_end: list[int] = field(default_factory=list)
    seconds: float = 0.0
    again: int = 0
    shares: list[Tensor] = field(
        default_factory=list
    )  # of every layer and prompt: of each sound token, heads that keep it

    def prompt(self, before: int, after: int, heard: Tensor, kept: Tensor) -> None:
        """One prompt in one layer; ``heard`` ``[n]`` tells its sound, ``kept`` ``[H, m]`` what has stayed."""
        audio = int(heard.sum())
        share = float(heard[kept].float().sum()) / kept.shape[0] if audio else 0.0
        if audio:
            held = torch.zeros(kept.shape[0], len(heard), device=heard.device).scatter_(1, kept, 1.0)
            self.shares.append(held.mean(0)[heard])
        self.prompts.append((before, after, audio, share))

    def trace(self) -> Mapping[str, NDArray[Any]]:
        """See :class:`~otoscope.core.nouns.Traced`; of several prompts of one length, their mean."""
        if not self.shares or len({len(s) for s in self.shares}) > 1:
            return {}
        return {"kept_audio": torch.stack(self.shares).mean(0).cpu().numpy()}

    def drain(self) -> Mapping[str, float]:
        """Means over prompts, layers and heads: ``cache_tokens`` of the prompt, ``kept_cache_tokens``,
        ``kept_cache_share``, ``kept_cache_audio_share``; means over batches: ``cache_bytes_before`` and
        ``cache_bytes_after`` the prompt's eviction, ``cache_bytes`` when the answer is complete; ``eviction_seconds``;
        ``evictions`` while answering, per layer."""
        found: dict[str, float] = {}
        if self.prompts:
            n = len(self.prompts)
            found["cache_tokens"] = sum(p[0] for p in self.prompts) / n
            found["kept_cache_tokens"] = sum(p[1] for p in self.prompts) / n
            found["kept_cache_share"] = sum(p[1] / p[0] for p in self.prompts) / n
            found["eviction_seconds"] = self.seconds
            found["evictions"] = self.again / n
            if heard := [p[3] / p[2] for p in self.prompts if p[2]]:
                found["kept_cache_audio_share"] = sum(heard) / len(heard)
        for name, told in (("_before", self.before), ("_after", self.after), ("", self.in_the_end)):
            if told:
                found[f"cache_bytes{name}"] = sum(told) / len(told)
        self.prompts, self.before, self.after, self.in_the_end, self.seconds, self.again = [], [], [], [], 0.0, 0
        self.shares = []
        return found
