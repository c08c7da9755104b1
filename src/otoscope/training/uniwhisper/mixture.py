"""How often each source is drawn: temperature, caps, nested groups, a unit, a schedule, and a replayed group.

``p_i`` of a source within its group is proportional to ``n_i ** (1 / T)`` with ``n_i`` its size in the unit, cut at the
cap (T5's mixing); ``T = 1`` is proportional, large ``T`` uniform. Groups share the rest likewise by the sum of their
sizes, unless they have shares of their own. All of it is data, so that a run's realised shares can be told beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from otoscope.core.errors import UsageError
from otoscope.training.uniwhisper.records import Record, total_hours

Unit = Literal["items", "hours", "answer-words"]


@dataclass(frozen=True)
class Source:
    """Records of one kind. ``group`` is usually the domain; ``cap`` cuts the size that counts; ``epochs`` is how often
    the records may be used (None: without end)."""

    name: str
    group: str
    records: Sequence[Record]
    cap: float | None = None
    epochs: int | None = None

    def size(self, unit: Unit) -> float:
        """In the unit of the mixture, cut at the cap."""
        found = {
            "items": lambda: float(len(self.records)),
            "hours": lambda: total_hours(self.records),
            "answer-words": lambda: float(sum(r.words for r in self.records)),
        }[unit]()
        return found if self.cap is None else min(found, self.cap)


@dataclass(frozen=True)
class Mixture:
    """``shares``: group -> its share at the beginning and at the end of the run (equal: constant); the others divide
    the rest. Speech that is replayed against forgetting is a group with a share."""

    temperature: float = 3.0
    group_temperature: float = 3.0
    unit: Unit = "items"
    shares: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, value in (("temperature", self.temperature), ("group_temperature", self.group_temperature)):
            if not value >= 1:
                raise UsageError(f"{name}={value} is below 1", where="mixture", fix="1 is proportional to size.")
        if self.unit not in ("items", "hours", "answer-words"):
            raise UsageError(f"there is no unit {self.unit!r}", where="mixture", fix="items, hours or answer-words")
        for at in (0, 1):
            whole = sum(ends[at] for ends in self.shares.values())
            if whole > 1 + 1e-9 or any(not 0 <= ends[at] <= 1 for ends in self.shares.values()):
                raise UsageError(f"shares of groups add up to {whole:g}", where="mixture", fix="Keep them within 1.")

    def probabilities(self, sources: Sequence[Source], done: float, spent: Sequence[bool] = ()) -> NDArray[np.float64]:
        """Of each source, at the part ``done`` (0 to 1) of the run; ``spent`` sources are drawn no more."""
        if not sources:
            raise UsageError("there is nothing to draw from", where="mixture")
        if unknown := sorted(set(self.shares) - {s.group for s in sources}):
            raise UsageError(f"has a share for {unknown[0]!r}, a group without sources", where="mixture")
        gone = list(spent) or [False] * len(sources)
        sizes = np.array([0.0 if g else s.size(self.unit) for s, g in zip(sources, gone, strict=True)])
        groups = list(dict.fromkeys(s.group for s in sources))
        of = np.array([groups.index(s.group) for s in sources])
        whole = np.array([sizes[of == g].sum() for g in range(len(groups))])
        if not whole.any():
            raise UsageError("every source has been used as often as it may", where="mixture", fix="Raise epochs=.")
        fixed = np.array([self._share(g, done) for g in groups])
        free = np.where(np.isnan(fixed) & (whole > 0), whole ** (1 / self.group_temperature), 0.0)
        left = max(0.0, 1.0 - float(np.nansum(np.where(whole > 0, fixed, 0.0))))
        share = np.where(np.isnan(fixed), 0.0, np.where(whole > 0, fixed, 0.0))
        if free.sum() > 0:
            share = share + left * free / free.sum()
        inner = np.where(sizes > 0, sizes ** (1 / self.temperature), 0.0)
        total = np.array([inner[of == g].sum() for g in range(len(groups))])
        p = share[of] * np.divide(inner, total[of], out=np.zeros_like(inner), where=total[of] > 0)
        found: NDArray[np.float64] = p / p.sum()
        return found

    def _share(self, group: str, done: float) -> float:
        if group not in self.shares:
            return float("nan")
        begin, end = self.shares[group]
        return begin + (end - begin) * min(1.0, max(0.0, done))
