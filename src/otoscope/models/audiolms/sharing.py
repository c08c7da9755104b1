"""What prompts about the same clips share: the features and what the audio encoder makes of them.

An intervention in the decoder changes neither, so of many settings on one item only the first computes them. Nothing is
assumed: a module's output is given again only where every argument of the call equals the stored one bit for bit, and
never where something acts inside the module. The phases of a prompt whose encoder did not run show what it took when
it did, so that costs can be compared between settings whatever the order.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(eq=False)
class Call:
    """One call of a module: what it was given and what it gave."""

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    output: Any


@dataclass(eq=False)
class Entry:
    """What is kept of the clips of one prompt. ``reused`` counts calls that were not made again in the last prompt,
    ``made`` those that were."""

    heard: Any = None
    calls: dict[tuple[int, int], Call] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    peak_bytes: dict[str, int] = field(default_factory=dict)
    heard_again: bool = False
    reused: int = 0
    made: int = 0

    def hear(self, make: Callable[[], Any]) -> Any:
        """The features; made once."""
        self.heard_again = self.heard is not None
        if self.heard is None:
            self.heard = make()
        return self.heard

    def settle(self, seconds: dict[str, float], peak_bytes: dict[str, int]) -> None:
        """After a prompt: remember what shared phases took, or put in what they took when they ran."""
        again = {"features": self.heard_again, "encoder": self.reused > 0 and self.made == 0}
        for phase, shared in again.items():
            for kept, now in ((self.seconds, seconds), (self.peak_bytes, peak_bytes)):
                if shared and phase in kept:
                    now[phase] = kept[phase]  # type: ignore[assignment]
                elif not shared and phase in now:
                    kept[phase] = now[phase]  # type: ignore[assignment]

    @property
    def nbytes(self) -> int:
        parts = [self.heard and list(self.heard.inputs.values())]
        parts += [[c.args, dict(c.kwargs), c.output] for c in self.calls.values()]
        seen: dict[int, int] = {}
        _count(parts, seen)
        return sum(seen.values())


class Memory:
    """Entries by what was heard, the latest used last; beyond ``max_bytes`` the oldest go, never the current one."""

    def __init__(self, max_bytes: int = 2**29) -> None:
        self.max_bytes = max_bytes
        self._entries: OrderedDict[str, Entry] = OrderedDict()

    def entry(self, key: str) -> Entry:
        """The entry under ``key``, new or known."""
        found = self._entries.setdefault(key, Entry())
        self._entries.move_to_end(key)
        return found

    def trim(self) -> None:
        """Let go of the oldest entries until the rest fits."""
        while len(self._entries) > 1 and self.nbytes > self.max_bytes:
            self._entries.popitem(last=False)

    @property
    def nbytes(self) -> int:
        return sum(e.nbytes for e in self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)


@contextmanager
def reusing(modules: Sequence[nn.Module], entry: Entry | None) -> Iterator[None]:
    """Inside, calls of ``modules`` that ``entry`` knows are not made again."""
    if entry is None:
        yield
        return
    entry.reused = entry.made = 0
    free = [(i, m) for i, m in enumerate(modules) if not _acted_in(m)]
    for i, module in free:
        module.__dict__["forward"] = _remembering(i, module.forward, entry)
    try:
        yield
    finally:
        for _, module in free:
            del module.__dict__["forward"]


def _acted_in(module: nn.Module) -> bool:
    """Whether an intervention stands in the module or a part of it."""
    return any("forward" in m.__dict__ for m in module.modules())


def _remembering(i: int, forward: Callable[..., Any], entry: Entry) -> Callable[..., Any]:
    n = 0

    def call(*args: Any, **kwargs: Any) -> Any:
        nonlocal n
        key, n = (i, n), n + 1
        known = entry.calls.get(key)
        if known is not None and _same(known.args, args) and _same(dict(known.kwargs), kwargs):
            entry.reused += 1
            return known.output
        entry.made += 1
        output = forward(*args, **kwargs)
        entry.calls[key] = Call(args, kwargs, output)
        return output

    return call


def _same(a: Any, b: Any) -> bool:
    """Bit for bit, where tensors are concerned."""
    if a is b:
        return True
    if isinstance(a, Tensor) or isinstance(b, Tensor):
        alike = isinstance(a, Tensor) and isinstance(b, Tensor) and a.dtype == b.dtype and a.device == b.device
        return alike and a.shape == b.shape and bool(torch.equal(a, b))
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(_same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(_same, a, b))
    return bool(a == b)


def _count(x: Any, seen: dict[int, int]) -> None:
    if isinstance(x, Tensor):
        seen[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
    elif isinstance(x, Mapping):
        for v in x.values():
            _count(v, seen)
    elif isinstance(x, list | tuple):
        for v in x:
            _count(v, seen)
    elif hasattr(x, "nbytes") and not isinstance(x, Entry):
        seen[id(x)] = int(x.nbytes)
