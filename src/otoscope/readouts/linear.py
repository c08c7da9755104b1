"""Logistic regression on standardised vectors, its penalty chosen on the validation part.

Idea: the best linear reader there is, found by a convex solver: no epochs, no seed, no initialisation.
Source: the linear evaluation of EVAR standardises and fits a linear layer; solver and penalties are ours.
Shapes: vectors ``[N, D]`` -> scores ``[N, C]``; a class that is absent from training scores -infinity.
Errors: :class:`InputError` where training holds one class only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from otoscope.core.errors import InputError
from otoscope.readouts.probe import Examples, Floats, Metric, Needs


class FittedLinear:
    def __init__(self, pipe: Pipeline, present: NDArray[Any], n_classes: int, chosen: str) -> None:
        self._pipe, self._present, self._n, self.chosen = pipe, present, n_classes, chosen

    def scores(self, x: Floats) -> Floats:
        found = np.asarray(self._pipe.decision_function(x.astype(np.float64)))
        if found.ndim == 1:
            found = np.stack([-found, found], axis=1) if len(self._present) == 2 else found[:, None]
        out = np.full((len(x), self._n), -np.inf, dtype=np.float32)
        out[:, self._present] = found
        return out


@dataclass(frozen=True)
class Linear:
    """``penalties`` are inverse strengths, weakest last; without a validation part the middle one is used."""

    name: ClassVar[str] = "linear"
    version: ClassVar[int] = 1
    seeded: ClassVar[bool] = False
    many: ClassVar[bool] = True
    chooses: ClassVar[bool] = True
    needs: ClassVar[Needs] = "vectors"

    penalties: tuple[float, ...] = (1e-3, 1e-2, 1e-1, 1.0)

    def fit(self, train: Examples, valid: Examples | None, metric: Metric, seed: int) -> FittedLinear:
        if valid is None or not len(valid):
            return self._at(train, self.penalties[len(self.penalties) // 2])
        fitted = [self._at(train, c) for c in self.penalties]
        values = [metric(f.scores(valid.x), valid.y) for f in fitted]
        return fitted[int(np.argmax(values))]

    def _at(self, train: Examples, c: float) -> FittedLinear:
        model: Any = LogisticRegression(C=c, max_iter=2000)
        y: NDArray[Any] = train.y
        if train.many:
            present = np.flatnonzero((y.sum(axis=0) > 0) & (y.sum(axis=0) < len(y)))
            model, y = OneVsRestClassifier(model), y[:, present].astype(int)
        else:
            present = np.unique(y)
        if len(present) < (1 if train.many else 2):
            raise InputError("a linear probe needs two classes to tell apart, and training holds fewer")
        pipe = make_pipeline(StandardScaler(), model).fit(train.x.astype(np.float64), y)
        return FittedLinear(pipe, present, train.n_classes, f"C={c:g}")
