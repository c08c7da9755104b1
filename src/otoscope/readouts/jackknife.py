"""A score of many items as the mean of one number per item, so that it can be paired, bootstrapped and averaged.

Accuracy is such a mean already. For any other statistic T the number of item i is its jackknife pseudo-value,
``T + (N - 1)(mean_j T_-j - T_-i)``: their mean is T, and their spread is that of T to first order (Tukey 1958; Efron
and Stein 1981). Here for macro average precision, exactly and in O(N log N) a class, and for F1 of counts.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def pseudo_values(whole: float, without: Floats) -> Floats:
    """``T`` of all and ``T_-i`` without each -> one value per item, whose mean is ``whole``."""
    return whole + (len(without) - 1) * (without.mean() - without)


def ap_without(scores: NDArray[Any], truth: NDArray[Any]) -> Floats:
    """Average precision of a class without each item in turn: scores and truth ``[N]`` -> ``[N]``. Equal scores share
    a threshold; without any positive it is 0, as scikit-learn has it."""
    order = np.argsort(-scores, kind="stable")
    s, y = scores[order], truth[order].astype(np.float64)
    ends = np.flatnonzero(np.append(np.diff(s) != 0, True))  # the last rank of each run of ties
    run = np.searchsorted(ends, np.arange(len(s)))
    hits, ranks = np.cumsum(y)[ends], (ends + 1).astype(np.float64)
    positives = np.add.reduceat(y, np.concatenate([[0], ends[:-1] + 1]))  # of each run
    total = y.sum()
    fewer = np.maximum(ranks - 1, 1)  # only a run of one item alone has rank 1, and that item is what is left out
    before = np.concatenate([[0.0], np.cumsum(positives * hits / ranks)])[run]
    # Without a negative: runs at or below its own have a rank less. Without a positive: also a hit less.
    as_negative = _from(positives * hits / fewer)[run] + before
    as_positive = before + _from(positives * (hits - 1) / fewer)[run] - (hits - 1)[run] / fewer[run]
    found = np.empty(len(s))
    left = np.where(y > 0, total - 1, total)
    found[order] = np.divide(np.where(y > 0, as_positive, as_negative), left, out=np.zeros(len(s)), where=left > 0)
    return found


def _from(x: Floats) -> Floats:
    """Sums from each place to the end."""
    return np.cumsum(x[::-1])[::-1]


def map_shares(scores: NDArray[Any], truth: NDArray[Any]) -> Floats:
    """Scores and truth ``[N, C]`` -> ``[N]`` whose mean is the macro average precision."""
    from otoscope.readouts.precision import macro_ap

    without = np.mean([ap_without(scores[:, c], truth[:, c]) for c in range(scores.shape[1])], axis=0)
    return pseudo_values(float(macro_ap(scores, truth)[0]), without)


def f1_shares(tp: Floats, fp: Floats, fn: Floats, average: str) -> Floats:
    """Counts per item and class ``[N, C]`` -> ``[N]`` whose mean is F1 over all of them, ``macro`` or ``micro``; a
    class with no event and no detection has F1 0, as scikit-learn has it."""
    if average == "micro":
        tp, fp, fn = (x.sum(axis=1, keepdims=True) for x in (tp, fp, fn))
    totals = [x.sum(axis=0) for x in (tp, fp, fn)]
    whole = float(_f1(*totals).mean())
    without = _f1(*(t - x for t, x in zip(totals, (tp, fp, fn), strict=True))).mean(axis=-1)
    return pseudo_values(whole, without)


def _f1(tp: Floats, fp: Floats, fn: Floats) -> Floats:
    below = 2 * tp + fp + fn
    return np.divide(2 * tp, below, out=np.zeros_like(below), where=below > 0)
