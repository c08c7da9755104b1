"""What a rung of the ablation ladder is: a change of rendered sounds, the same for every condition of a seed.

A transform takes the sounds of one seed by name (``{"n0", "s0", "spi"}``, each ``[2, n]``) and gives as many back.
Whatever is random in it (carriers, phases, gains) is drawn from the seed and shared by all of them, and its parameters
are fixed before it sees a target.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from otoscope.core.errors import InputError
from otoscope.core.identity import describe

Float = NDArray[np.float64]
Signals = Mapping[str, Float]


class Transform:
    """Base class of frozen dataclasses. Override :meth:`change`, or :meth:`apply` where sounds depend on each other."""

    version: ClassVar[int] = 1
    #: Sounds that must be given together with those to be changed; all others are changed one by one.
    needs: ClassVar[tuple[str, ...]] = ()

    def apply(self, signals: Signals, rate: int, seed: int) -> dict[str, Float]:
        """The changed sounds. Raises :class:`InputError` unless all are float arrays ``[2, n]`` of one length."""
        stacked = stack(signals)
        return dict(zip(signals, self.change(stacked, rate, seed), strict=True))

    def change(self, x: Float, rate: int, seed: int) -> Float:
        """``x [sounds, 2, n]`` -> the same shape."""
        raise NotImplementedError

    def describe(self) -> dict[str, Any]:
        """Class, version and parameters as JSON types; ``ladder.from_description`` reads it back."""
        return describe(self)


@dataclass(frozen=True)
class Intact(Transform):
    """The sounds as they are."""

    def change(self, x: Float, rate: int, seed: int) -> Float:
        return x


@dataclass(frozen=True)
class Chain(Transform):
    """Several transforms, one after the other."""

    steps: tuple[Transform, ...]

    def apply(self, signals: Signals, rate: int, seed: int) -> dict[str, Float]:
        out = dict(signals)
        for step in self.steps:
            out = step.apply(out, rate, seed)
        return out


def stack(signals: Signals) -> Float:
    """``[sounds, 2, n]`` in the order of the mapping, float64. Raises :class:`InputError` on other shapes."""
    if not signals:
        raise InputError("a transform was given no sounds")
    shapes = {name: np.shape(x) for name, x in signals.items()}
    first = next(iter(shapes.values()))
    for name, shape in shapes.items():
        if len(shape) != 2 or shape[0] != 2 or shape[1] == 0 or shape != first:
            raise InputError(f"sounds must be arrays [2, n] of one length, {name!r} has {shape}")
    return np.stack([np.asarray(x, dtype=np.float64) for x in signals.values()])


def noise_alone(signals: Signals) -> Float:
    """The sound that sets levels for all: ``n0``, or ``noise`` in a forced choice. :class:`InputError` without."""
    for name in ("n0", "noise"):
        if name in signals:
            return np.asarray(signals[name], dtype=np.float64)
    raise InputError(f"needs the noise alone ('n0' or 'noise') and was given {', '.join(signals)}")
