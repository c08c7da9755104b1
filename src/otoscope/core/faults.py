"""Named points at which a test may kill this process or fill the disk.

Crash safety cannot be argued, only tried. Code that must survive a kill marks its delicate moments with
``point(name)``; ``OTOSCOPE_FAULT=name:n`` then makes the process kill itself (SIGKILL: no handler, no ``finally``) on
the n-th arrival, and ``name:n:enospc`` raises ``OSError(ENOSPC)`` there instead. Unset, a point is one comparison.
"""

from __future__ import annotations

import errno
import os
import signal
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from otoscope.core.errors import UsageError

VARIABLE = "OTOSCOPE_FAULT"

#: What the store writes, and the moments of one durable write.
_WRITES = ("shard", "cells", "experiment", "artefact")
_MOMENTS = ("half-written", "before-fsync", "before-rename", "before-dir-fsync")

#: Every point there is, in the order of the code. Tests iterate it; an unknown name is refused.
POINTS: tuple[str, ...] = tuple(f"store.{what}.{moment}" for what in _WRITES for moment in _MOMENTS)


@dataclass
class _Plan:
    """Strike at the ``n``-th arrival at ``name``."""

    name: str
    n: int
    enospc: bool
    arrived: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def arrive(self, name: str) -> None:
        if name not in POINTS:
            raise UsageError(f"there is no fault point {name!r}", where=VARIABLE)
        if name != self.name:
            return
        with self.lock:
            self.arrived += 1
            if self.arrived != self.n:
                return
        if self.enospc:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.kill(os.getpid(), signal.SIGKILL)


def parse(text: str) -> _Plan:
    """``name:n`` or ``name:n:enospc``. Raises :class:`UsageError`."""
    name, *rest = text.split(":")
    if name not in POINTS:
        raise UsageError(f"there is no fault point {name!r}", where=VARIABLE, fix=f"One of: {', '.join(POINTS)}.")
    if len(rest) not in (1, 2) or not rest[0].isdecimal() or int(rest[0]) < 1 or rest[1:] not in ([], ["enospc"]):
        raise UsageError(f"{text!r} is not name:n or name:n:enospc with n from 1", where=VARIABLE)
    return _Plan(name, int(rest[0]), len(rest) == 2)


def arm(environment: Mapping[str, str] = os.environ) -> None:
    """Read the variable (again). Called at import; an empty variable disarms."""
    global _plan
    text = environment.get(VARIABLE, "")
    _plan = parse(text) if text else None


_plan: _Plan | None = None
arm()


def point(name: str) -> None:
    """A moment at which this process may be told to die."""
    if _plan is not None:
        _plan.arrive(name)
