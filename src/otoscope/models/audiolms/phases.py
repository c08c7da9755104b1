"""Seconds and peak memory per phase of one answer, from outside: the library's own ``generate`` runs untouched.

The audio encoder is known by its modules (hooks that only look at the clock), the end of the prefill by the first call
of a stopping criterion, which the library makes after every token it has chosen and which never stops here. The phase
is announced to :mod:`otoscope.core.clock`, so interventions see ``prefill`` and ``decode``.

On a GPU every boundary waits for it, and a peak is what torch had allocated. On the CPU under Linux the peak is the
resident set's high-water mark, which is reset at every boundary (``/proc/self/clear_refs``); elsewhere there is none.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn
from transformers import StoppingCriteria

from otoscope.core import clock


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
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    try:
        with open("/proc/self/status") as status:
            found = [line for line in status if line.startswith("VmHWM")]
    except OSError:
        return None
    return int(found[0].split()[1]) * 1024 if found and _RESETS else None


def _forget_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    elif _RESETS:
        _reset()


def _reset() -> bool:
    """Whether the high-water mark could be reset."""
    try:
        with open("/proc/self/clear_refs", "w") as refs:
            refs.write("5")
    except OSError:
        return False
    return True


#: Whether this system can forget a peak: without that, every phase would show the peak of what came before.
_RESETS = _reset()
