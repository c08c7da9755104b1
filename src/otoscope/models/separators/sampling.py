"""How a flow is followed from noise to latents: plain data, known without torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from otoscope.core.errors import UsageError
from otoscope.models import devices

Solver = Literal["euler", "midpoint"]
#: Evaluations per step.
STAGES = {"euler": 1, "midpoint": 2}


@dataclass(frozen=True)
class Sampling:
    """``chunk_s``: longer sounds are cut into pieces of so many seconds, cross-faded over ``overlap_s`` (None: never
    cut). ``candidates``: so many noises are tried. ``dtype`` is the network's; the state is float32. Midpoint with 16
    steps is what SAM Audio (arXiv 2512.18099) is published with. Two are ours: ``temperature`` scales the noise at the
    start (below 1: closer to the likeliest stems), and with ``consistent`` what the stems leave of the mixture is
    shared between them, so that they sum to it. Raises :class:`UsageError`."""

    solver: Solver = "midpoint"
    steps: int = 16
    chunk_s: float | None = None
    overlap_s: float = 1.0
    candidates: int = 1
    dtype: Literal["float32", "float16", "bfloat16"] = "float32"
    temperature: float = 1.0
    consistent: bool = False

    def __post_init__(self) -> None:
        if self.solver not in STAGES:
            raise UsageError(f"there is no solver={self.solver}", fix=f"It is one of: {', '.join(STAGES)}.")
        for name in ("steps", "candidates"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise UsageError(f"{name}={value} is not a whole number from 1")
        for name in ("chunk_s", "overlap_s"):
            value = getattr(self, name)
            if (value is not None or name == "overlap_s") and (
                isinstance(value, bool) or not isinstance(value, int | float)
            ):
                raise UsageError(f"{name}={value} is not a number of seconds")
        if self.chunk_s is not None and not 0 <= self.overlap_s <= self.chunk_s / 2:
            raise UsageError(
                f"overlap_s={self.overlap_s:g} does not go with chunk_s={self.chunk_s:g}",
                fix="The overlap is from 0 to half a chunk.",
            )
        warm = self.temperature
        if isinstance(warm, bool) or not isinstance(warm, int | float) or not 0 <= warm <= 2:
            raise UsageError(f"temperature={self.temperature} is not a number from 0 to 2")
        if not isinstance(self.consistent, bool):
            raise UsageError(f"consistent={self.consistent} is neither true nor false")
        if self.dtype not in devices.DTYPES:
            raise UsageError(f"there is no dtype={self.dtype}", fix=f"It is one of: {', '.join(devices.DTYPES)}.")
