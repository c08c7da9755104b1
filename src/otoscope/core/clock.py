"""Where a computation stands: flow time, solver step and stage, phase. Said by who knows, read by interventions.

Nothing is found by counting calls. A solver announces step and stage around each evaluation; flow time comes from the
network's own argument (see :class:`~otoscope.core.sites.SiteMap`); a language model announces its phase. The position
is a context variable, so threads and nested runs don't see each other's.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Tick:
    """``time`` is flow time in [0, 1]; ``step`` of ``n_steps`` and ``stage`` (of one step: 0, 1, ...) are a solver's;
    ``solve`` numbers the solves of a process, so that a cache cannot outlive the solve it was made in; ``phase`` is a
    word such as ``prefill``. ``family`` is the family of tasks that the item is known to belong to, which only
    calibration, oracles and checks of a router may look at. ``shadow``: this is a second evaluation beside the real
    one, made by an intervention for itself. None: nobody said."""

    time: float | None = None
    step: int | None = None
    n_steps: int | None = None
    stage: int | None = None
    solve: int | None = None
    phase: str | None = None
    family: str | None = None
    shadow: bool = False


_START = Tick()
_NOW: ContextVar[Tick] = ContextVar("otoscope_clock", default=_START)


def now() -> Tick:
    """Where the computation stands."""
    return _NOW.get()


@contextmanager
def at(**known: Any) -> Iterator[Tick]:
    """Set some fields of the clock inside; nested announcements keep what the outer ones said."""
    token = _NOW.set(replace(_NOW.get(), **known))
    try:
        yield _NOW.get()
    finally:
        _NOW.reset(token)
