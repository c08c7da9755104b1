"""What a pruner reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray
from torch import Tensor


@dataclass
class Pruned:
    """The report (an ``InterventionReport``): what was kept since the last :meth:`drain`. ``clips``: per prompt, in
    order, audio tokens before and after; ``by_clip`` the same of each of its clips; ``notes`` say in words what a
    reader must know."""

    layer: int
    n_layers: int
    clips: list[tuple[int, int]] = field(default_factory=list)
    by_clip: list[list[tuple[int, int]]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    numbers: dict[str, float] = field(default_factory=dict)
    scoring_s: float = 0.0
    cache_bytes: list[int] = field(default_factory=list)  # of each cache, as it was last seen
    extra: list[Mapping[str, float]] = field(default_factory=list)
    last: Tensor | None = None  # of the last prompt with sound: which of its audio tokens stay

    def trace(self) -> Mapping[str, NDArray[Any]]:
        """See :class:`~otoscope.core.nouns.Traced`."""
        return {} if self.last is None else {"kept_audio": self.last.float().cpu().numpy()}

    def drain(self) -> Mapping[str, float]:
        """Means over prompts: ``kept_audio_tokens``, ``kept_audio_share`` at and above the layer, and over all layers
        (``layer_kept_audio_share``), ``scoring_seconds`` of a batch, ``cache_bytes`` of its cache in the end, and what
        the method adds. Of one prompt with several clips also ``kept_audio_tokens_clip1`` and so on."""
        found: dict[str, float] = {}
        heard = [(n, k) for n, k in self.clips if n]
        if heard:
            share = sum(k / n for n, k in heard) / len(heard)
            whole = self.layer / self.n_layers
            found = {
                "audio_tokens": sum(n for n, _ in heard) / len(heard),
                "kept_audio_tokens": sum(k for _, k in heard) / len(heard),
                "kept_audio_share": share,
                "layer_kept_audio_share": whole + (1 - whole) * share,
                "scoring_seconds": self.scoring_s,
            }
        if len(self.by_clip) == 1 and len(self.by_clip[0]) > 1:
            found |= {f"kept_audio_tokens_clip{i}": float(k) for i, (_, k) in enumerate(self.by_clip[0], 1)}
        if self.cache_bytes:
            found["cache_bytes"] = sum(self.cache_bytes) / len(self.cache_bytes)
        for name in sorted({k for e in self.extra for k in e}):
            told = [e[name] for e in self.extra if name in e]
            found[name] = sum(told) / len(told)
        self.clips, self.by_clip, self.scoring_s, self.cache_bytes, self.extra, self.last = [], [], 0.0, [], [], None
        return found
