"""Recipes: the parameters of a sound with their ranges, and the function that renders them. Ours.

Randomness has two phases. First every parameter is drawn from (seed, kind, label, parameter name) by a generator of
its own, so that adding a parameter moves no other draw; then the sound is rendered from the parameters and one
further generator for noise and timing. Parameters are plain numbers and words, fit for labels and identities.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from otoscope.core.errors import UsageError
from otoscope.core.registry import suggestions

Array = NDArray[np.float64]
#: The stream that phase two renders from.
RENDER = "render"
#: Drawn parameters of one sound.
Params = Mapping[str, Any]
Render = Callable[[Params, int, np.random.Generator], Array]


class Parameter(Protocol):
    """A range that can be drawn from and that says whether a given value lies in it."""

    def draw(self, rng: np.random.Generator) -> Any: ...

    def holds(self, value: Any) -> bool: ...

    def __str__(self) -> str: ...


@dataclass(frozen=True)
class Between:
    """A real number, uniform on a linear or (``log``) on a logarithmic scale."""

    low: float
    high: float
    log: bool = False

    def draw(self, rng: np.random.Generator) -> float:
        if self.log:
            return float(math.exp(rng.uniform(math.log(self.low), math.log(self.high))))
        return float(rng.uniform(self.low, self.high))

    def holds(self, value: Any) -> bool:
        return isinstance(value, int | float) and not isinstance(value, bool) and self.low <= value <= self.high

    def __str__(self) -> str:
        return f"{self.low} to {self.high}"


@dataclass(frozen=True)
class Whole:
    """A whole number from ``low`` to ``high``, both included."""

    low: int
    high: int

    def draw(self, rng: np.random.Generator) -> int:
        return int(rng.integers(self.low, self.high + 1))

    def holds(self, value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and self.low <= value <= self.high

    def __str__(self) -> str:
        return f"a whole number from {self.low} to {self.high}"


@dataclass(frozen=True)
class Among:
    """One of a few words."""

    options: tuple[str, ...]

    def draw(self, rng: np.random.Generator) -> str:
        return self.options[int(rng.integers(len(self.options)))]

    def holds(self, value: Any) -> bool:
        return value in self.options

    def __str__(self) -> str:
        return "one of " + ", ".join(self.options)


@dataclass(frozen=True)
class Recipe:
    """One label. ``render(params, n, rng)`` gives ``n`` samples at :data:`~.dsp.RATE` Hz, level and peak free."""

    kind: str
    label: str
    summary: str
    parameters: Mapping[str, Parameter]
    render: Render

    def draw(self, seed: int, fixed: Params) -> dict[str, Any]:
        """Phase one. ``fixed`` parameters replace their draw and move no other.

        Raises :class:`UsageError` on a negative seed, an unknown parameter or a value outside its range.
        """
        if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
            raise UsageError(f"a seed is a whole number from 0 up, got {seed!r}")
        where = f"{self.kind} {self.label}"
        for name, value in fixed.items():
            if name not in self.parameters:
                near = suggestions(name, list(self.parameters)) or sorted(self.parameters)
                raise UsageError(f"there is no parameter {name!r}", where=where, fix=f"It has: {', '.join(near)}.")
            if not self.parameters[name].holds(value):
                raise UsageError(f"{name}={value!r} is not {self.parameters[name]}", where=where)
        return {
            name: fixed[name] if name in fixed else parameter.draw(self.generator(seed, name))
            for name, parameter in sorted(self.parameters.items())
        }

    def generator(self, seed: int, purpose: str) -> np.random.Generator:
        """An independent stream for one purpose of one sound."""
        key = zlib.crc32(f"{self.kind}/{self.label}/{purpose}".encode())
        return np.random.default_rng([int(seed), key])


def event(**parameters: Parameter) -> Callable[[Render], Recipe]:
    """Make an event class of a render function: its name is the label, the first line of its docstring the summary."""

    def make(render: Render) -> Recipe:
        return Recipe("event", render.__name__, (render.__doc__ or "").split("\n")[0], parameters, render)

    return make
