"""k nearest neighbours of pooled vectors, nothing learned: the vote of the k most similar, weighted by softmax(s / T).

Idea: does the embedding put alike sounds side by side, without a reader that rotates it?
Source: X-ARES v0.1.3, its kNN (k 10, T 0.07), read as code; fact sheet, section 4.7.
``metric="cosine"`` is what is meant. ``metric="xares"`` is what that code does: the training matrix is transposed
before its L2 norm, so each *feature* is normalised across the training samples, while each test vector has norm one.
The similarity is then sum_d (x_d / |x|)(t_d / |t_:d|): small numbers, for which the softmax is nearly a flat vote.
Shapes: vectors ``[N, D]`` -> votes ``[N, C]`` that sum to 1. Ties go to the earlier training sample (ours).
Errors: :class:`InputError` where fewer than k samples are there to vote.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from otoscope.core.errors import InputError, UsageError
from otoscope.readouts.probe import Examples, Floats, Metric, Needs

_TINY = 1e-12  # norms below are taken as this, as torch's normalize does


class FittedKnn:
    chosen = ""

    def __init__(
        self, x: Floats, y: NDArray[np.int64], n_classes: int, k: int, temperature: float, wrong: bool
    ) -> None:
        self._x = _unit(x, axis=0 if wrong else 1)
        self._y, self._n, self._k, self._t = y, n_classes, k, temperature

    def scores(self, x: Floats) -> Floats:
        out = np.zeros((len(x), self._n), dtype=np.float32)
        for start in range(0, len(x), 1024):  # bounds the matrix of similarities
            out[start : start + 1024] = self._votes(_unit(x[start : start + 1024], axis=1) @ self._x.T)
        return out

    def _votes(self, similarity: Floats) -> Floats:
        near = np.argsort(-similarity, axis=1, kind="stable")[:, : self._k]
        s = np.take_along_axis(similarity, near, axis=1) / np.float32(self._t)
        weight = np.exp(s - s.max(axis=1, keepdims=True))
        weight /= weight.sum(axis=1, keepdims=True)
        votes = np.zeros((len(s), self._n), dtype=np.float32)
        np.add.at(votes, (np.arange(len(s))[:, None], self._y[near]), weight)
        return votes


@dataclass(frozen=True)
class Knn:
    """``k`` neighbours at ``temperature``; ``metric`` is ``cosine`` or ``xares``."""

    version: ClassVar[int] = 1
    seeded: ClassVar[bool] = False
    many: ClassVar[bool] = False
    chooses: ClassVar[bool] = False
    needs: ClassVar[Needs] = "vectors"

    metric: Literal["cosine", "xares"] = "cosine"
    k: int = 10
    temperature: float = 0.07

    def __post_init__(self) -> None:
        if self.metric not in ("cosine", "xares"):
            raise UsageError(f"there is no kNN metric {self.metric!r}", fix="Use cosine or xares.")
        if self.k < 1 or not self.temperature > 0:
            raise UsageError("k and temperature must be positive")

    @property
    def name(self) -> str:
        return f"knn-{self.metric}"

    def fit(self, train: Examples, valid: Examples | None, metric: Metric, seed: int) -> FittedKnn:
        if train.many:
            raise UsageError("kNN votes for one class of many; this task asks for several at once")
        if len(train) < self.k:
            raise InputError(f"{self.k} neighbours are asked for, and there are {len(train)} training samples")
        return FittedKnn(train.x, train.y, train.n_classes, self.k, self.temperature, self.metric == "xares")


def _unit(x: Floats, axis: int) -> Floats:
    norm = np.sqrt((x.astype(np.float64) ** 2).sum(axis=axis, keepdims=True))
    return (x / np.maximum(norm, _TINY)).astype(np.float32)
