"""What every probe of classes has in common: examples in, one score per class out.

``fit(train, valid, metric, seed)`` learns from ``train`` and chooses (an epoch, a penalty) by ``metric`` on ``valid``;
the fitted probe's ``scores`` are ``[N, C]``, higher is likelier. A class may be absent from training.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from otoscope.core.errors import InputError
from otoscope.readouts.ragged import Ragged

Floats = NDArray[np.float32]
#: Of scores ``[N, C]`` and truth: higher is better.
Metric = Callable[[NDArray[Any], NDArray[Any]], float]
#: What of an encoder's output a probe looks at: the pooled vector, the pooled vectors of all layers, or the frames.
Needs = Literal["vectors", "layers", "frames"]


@dataclass(frozen=True, eq=False)
class Examples:
    """``x`` ``[N, D]`` float32 (of all layers ``[N, L, D]``, of frames a :class:`Ragged`); ``y`` ``[N]`` class numbers,
    or ``[N, C]`` of 0 and 1 where several may hold. ``shards`` are the lengths of the parts of the stream that they
    came in (X-ARES' shuffling depends on them)."""

    x: Any
    y: NDArray[Any]
    n_classes: int
    shards: Sequence[int] | None = None

    def __post_init__(self) -> None:
        shaped = isinstance(self.x, Ragged) or self.x.ndim in (2, 3)
        if not shaped or len(self.x) != len(self.y):
            raise InputError(f"a probe needs vectors [N, D] and N targets, got {len(self.x)} and {self.y.shape}")
        if not all(np.isfinite(p).all() for p in (self.x.parts if isinstance(self.x, Ragged) else [self.x])):
            raise InputError("embeddings hold NaN or infinite values")
        if self.y.ndim == 1 and len(self.y) and not 0 <= int(self.y.min()) <= int(self.y.max()) < self.n_classes:
            raise InputError(f"class numbers must be 0 to {self.n_classes - 1}")
        if self.y.ndim == 2 and self.y.shape[1] != self.n_classes:
            raise InputError(f"targets have {self.y.shape[1]} classes where there are {self.n_classes}")

    @property
    def many(self) -> bool:
        """Whether several classes may hold at once."""
        return self.y.ndim == 2

    def __len__(self) -> int:
        return len(self.x)

    def take(self, rows: NDArray[Any]) -> Examples:
        """Some of them, in the order of ``rows``; how they were sharded is no longer known."""
        return Examples(self.x[rows], self.y[rows], self.n_classes)


class FittedProbe(Protocol):
    #: What was chosen on the validation part, in words ("epoch 7 of 10"), or "".
    chosen: str

    def scores(self, x: Any) -> Floats: ...


class Probe(Protocol):
    """``seeded``: whether another seed gives another probe. ``many``: whether it can tell several classes
    at once. ``chooses``: whether it has a use for a validation part. ``needs``: what it looks at."""

    version: ClassVar[int]
    seeded: ClassVar[bool]
    many: ClassVar[bool]
    chooses: ClassVar[bool]
    needs: ClassVar[Needs]

    @property
    def name(self) -> str: ...

    def fit(self, train: Examples, valid: Examples | None, metric: Metric, seed: int) -> FittedProbe: ...


def accuracy(scores: NDArray[Any], y: NDArray[Any]) -> float:
    """The share of rows whose highest score is that of the true class."""
    return float(np.mean(scores.argmax(axis=1) == y))
