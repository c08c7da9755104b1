"""Seconds and peak memory per phase of one answer, from outside: the library's own ``generate`` runs untouched.

The audio encoder is known by its modules (hooks that only look at the clock), the end of the prefill by the first call
of a stopping criterion, which the library makes after every token it has chosen and which never stops here. The phase
is announced to :mod:`otoscope.core.clock`, so interventions see ``prefill`` and ``decode``.

On a GPU every boundary waits for it, and a peak is what torch had allocated. On the CPU it is the resident memory of
the process (see :mod:`otoscope.core.memory`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn
from transformers import StoppingCriteria

from otoscope.core import clock, memory


class Phases:
    """Adds up ``seconds`` and keeps the largest ``peak_bytes`` of each phase. One phase runs at a time."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.seconds, self.peak_bytes = device, dict[str, float](), dict[str, int]()
        self.steps = 0
        self._phase: str | None = None
        self._start = 0.0

    def enter(self, phase: str | None) -> None:
        """End the phase that runs, and begin another (None: none)."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        now = time.perf_counter()
        if self._phase is not None:
            self.seconds[self._phase] = self.seconds.get(self._phase, 0.0) + now - self._start
            peak = _peak(self.device)
            if peak is not None:
                self.peak_bytes[self._phase] = max(peak, self.peak_bytes.get(self._phase, 0))
        _forget_peak(self.device)
        self._phase, self._start = phase, time.perf_counter()


class _AfterToken(StoppingCriteria):
    """Told of every token; the first one ends the prefill."""

    def __init__(self, phases: Phases, announced: ExitStack) -> None:
        self.phases, self.announced, self.first = phases, announced, True

    def __call__(self, input_ids: Any, scores: Any, **more: Any) -> Any:
        if self.first:
            self.first = False
            self.phases.enter("decode")
            self.announced.close()
            self.announced.enter_context(clock.at(phase="decode"))
        else:
            self.phases.steps += 1
        return torch.zeros(input_ids.shape[0], dtype=torch.bool, device=input_ids.device)


@contextmanager
def answering(phases: Phases, encoder: Sequence[nn.Module]) -> Iterator[StoppingCriteria]:
    """Around one call of ``generate``, which is to be given the criterion."""
    handles = []
    with ExitStack() as announced:
        announced.enter_context(clock.at(phase="prefill"))
        try:
            for module in encoder:
                handles.append(module.register_forward_pre_hook(lambda m, args: phases.enter("encoder")))
                handles.append(module.register_forward_hook(lambda m, args, out: phases.enter("prefill")))
            phases.enter("prefill")
            yield _AfterToken(phases, announced)
        finally:
            phases.enter(None)
            for handle in handles:
                handle.remove()


def _peak(device: torch.device) -> int | None:
    return int(torch.cuda.max_memory_allocated(device)) if device.type == "cuda" else memory.peak_bytes()


def _forget_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    else:
        memory.forget_peak()
