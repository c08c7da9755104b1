"""Which evaluations recompute under a static interval: shared by the rivals that reuse outputs.

Evaluations are told by solver step and stage, never counted; a solve, and a stage within it, has a cache of its own.
"""

from __future__ import annotations

from typing import Any

from otoscope.core.clock import Tick
from otoscope.core.errors import ModelError, UsageError


class Interval:
    """Recompute on every ``every``-th step from flow time ``start`` to ``end``, reuse on the others."""

    def __init__(self, every: int, start: float, end: float) -> None:
        self.every, self.start, self.end = every, start, end
        self._solve: int | None = None
        self._kept: dict[tuple[int | None, Any], Any] = {}

    def reuses(self, tick: Tick, what: Any) -> bool:
        """Whether ``what`` is taken from the cache now."""
        if tick.step is None or tick.solve is None or tick.time is None:
            raise ModelError("outputs are reused within one solve, and no solver says which step this is")
        if tick.solve != self._solve:
            self._solve = tick.solve
            self._kept.clear()
        inside = self.start <= tick.time < self.end
        return inside and tick.step % self.every != 0 and (tick.stage, what) in self._kept

    def keep(self, tick: Tick, what: Any, value: Any) -> None:
        self._kept[tick.stage, what] = value

    def kept(self, tick: Tick, what: Any) -> Any:
        return self._kept[tick.stage, what]


def check_every(every: int, where: str) -> None:
    """Raise :class:`UsageError` on an interval that reuses nothing."""
    if isinstance(every, bool) or not isinstance(every, int) or every < 2:
        raise UsageError(f"every={every} is not a whole number from 2", where=where)
