"""The result of one conformance check."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["passed", "failed", "known", "not applicable"]

#: Largest relative difference that counts as rounding: the order of a sum, not its terms, may depend on the batch.
ROUNDING = 1e-4
#: Models that hear any rate are given this (Hz).
RATE = 16_000


@dataclass(frozen=True)
class Check:
    """What was checked, how it went, one sentence, and the figure it rests on where there is one."""

    name: str
    status: Status
    detail: str = ""
    figure: float | None = None

    @property
    def passed(self) -> bool:
        """Nothing to mend: passed, known beforehand, or not applicable."""
        return self.status != "failed"


def verdict(holds: bool, detail: str, figure: float | None = None) -> Check:
    """A check without its name yet."""
    return Check("", "passed" if holds else "failed", detail, figure)
