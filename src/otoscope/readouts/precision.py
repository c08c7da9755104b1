"""Average precision of many classes, with weights per sample so that a bootstrap needs one sort.

``weighted_ap`` gives for every row of weights what scikit-learn gives with ``sample_weight``; tied scores share one
threshold. ``macro_ap`` is the mean over classes. A class without a positive has no average precision: scikit-learn, and
so X-ARES, counts it as 0; ``absent="skip"`` leaves it out.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def weighted_ap(scores: NDArray[Any], truth: NDArray[Any], weights: Floats) -> Floats:
    """Scores ``[N]``, truth ``[N]`` of 0 and 1, weights ``[B, N]`` -> ``[B]``; NaN where no positive has weight."""
    order = np.argsort(-scores, kind="stable")
    s, y, w = scores[order], truth[order].astype(np.float64), weights[:, order]
    last = np.flatnonzero(np.append(np.diff(s) != 0, True))  # the end of each run of ties
    hit = np.cumsum(w * y, axis=1)[:, last]
    said = np.cumsum(w, axis=1)[:, last]
    total = hit[:, -1]
    precision = np.divide(hit, said, out=np.zeros_like(hit), where=said > 0)
    gained = np.diff(hit, axis=1, prepend=0.0)
    return np.divide((precision * gained).sum(axis=1), total, out=np.full(len(w), np.nan), where=total > 0)


def macro_ap(
    scores: NDArray[Any], truth: NDArray[Any], weights: Floats | None = None, absent: Literal["zero", "skip"] = "zero"
) -> Floats:
    """Scores and truth ``[N, C]`` -> ``[B]`` (``weights`` None: one row of ones)."""
    w = np.ones((1, len(scores))) if weights is None else weights
    each = np.stack([weighted_ap(scores[:, c], truth[:, c], w) for c in range(scores.shape[1])])
    if absent == "zero":
        return np.nan_to_num(each, nan=0.0).mean(axis=0)
    there = np.isfinite(each)
    return np.divide(
        np.where(there, each, 0.0).sum(axis=0),
        there.sum(axis=0),
        out=np.full(w.shape[0], np.nan),
        where=there.any(axis=0),
    )


def mean_average_precision(scores: NDArray[Any], y: NDArray[Any]) -> float:
    """Macro average precision as a probe's metric."""
    return float(macro_ap(scores, y)[0])
