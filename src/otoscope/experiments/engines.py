"""Engines: where workers run. Another engine is another file with one class that has this one method.

A worker needs nothing but a picklable :class:`Job` and a place to send events, so an engine only has to start some and
wait: threads of the run directory do the rest.
"""

from __future__ import annotations

import multiprocessing as mp
import os
import queue
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from otoscope.core.errors import OtoscopeError
from otoscope.experiments.worker import Event, Job, Worker


class Engine(Protocol):
    """Run ``job`` to its end, telling ``emit`` what happens; raise what a worker raised."""

    def run(self, job: Job, emit: Callable[[Event], None]) -> None: ...


@dataclass(frozen=True)
class InProcess:
    """One worker, here. The only engine that can run models which exist as Python objects only."""

    def run(self, job: Job, emit: Callable[[Event], None]) -> None:
        Worker(job, emit).run()


@dataclass(frozen=True)
class Processes:
    """``n`` worker processes on this machine (spawned, so that torch and its threads start clean in each)."""

    n: int

    def run(self, job: Job, emit: Callable[[Event], None]) -> None:
        context = mp.get_context("spawn")
        events: Any = context.Queue()
        workers = [context.Process(target=_main, args=(job, events, i), daemon=True) for i in range(self.n)]
        try:
            with _shared_cores(self.n):
                for w in workers:
                    w.start()
            self._watch(workers, events, emit)
        finally:
            for w in workers:
                if w.is_alive():
                    w.terminate()
            for w in workers:
                if w.pid is not None:
                    w.join()

    def _watch(self, workers: list[Any], events: Any, emit: Callable[[Event], None]) -> None:
        running = len(workers)
        while running:
            try:
                kind, payload = events.get(timeout=0.5)
            except queue.Empty:
                dead = [w for w in workers if w.exitcode not in (None, 0)]
                if dead:
                    raise OtoscopeError(
                        f"a worker process died (exit code {dead[0].exitcode})",
                        fix="Run the same command again to finish what is missing; with less memory use --workers 1.",
                    ) from None
                continue
            if kind == "event":
                emit(payload)
            elif kind == "error":
                raise payload
            else:
                running -= 1


def _main(job: Job, events: Any, index: int) -> None:
    try:
        Worker(job, lambda e: events.put(("event", e)), index).run()
    except KeyboardInterrupt:
        return
    except OtoscopeError as e:
        events.put(("error", e))
        return
    except Exception as e:
        events.put(("error", RuntimeError(f"worker {index}: {type(e).__name__}: {e}\n{traceback.format_exc()}")))
        return
    events.put(("end", index))


@contextmanager
def _shared_cores(n: int) -> Iterator[None]:
    """Each worker takes its share of the cores. Numerical libraries read these variables when they are imported, so
    they must stand before the processes start."""
    share = str(max(1, (os.cpu_count() or 1) // n))
    mine = {k: share for k in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS") if k not in os.environ}
    os.environ.update(mine)
    try:
        yield
    finally:
        for k in mine:
            del os.environ[k]
