"""Area under the ROC curve, sensitivity d', and two-alternative forced choice, and how they turn into each other.

The area is the chance that a signal trial scores above a noise trial, ties counted half (Hanley & McNeil 1982), which
is the proportion correct of an unbiased observer in 2AFC. With equal-variance normal scores it is Phi(d' / sqrt 2)
(Green & Swets 1966), so d' = sqrt 2 Phi^-1(area). Areas of 0 and 1 would give infinite d': they are clipped to
1 / (2n) and 1 - 1 / (2n), the usual correction for n trials.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr, ndtri
from scipy.stats import rankdata

from otoscope.core.errors import InputError, UsageError
from otoscope.stats.checks import Floats


def auc(signal: ArrayLike, noise: ArrayLike) -> float:
    """Area under the ROC curve of decision values for ``signal`` [n] and ``noise`` [m] trials (higher = signal).

    Infinite decision values are ranked like any other; an empty side gives NaN.

    Raises:
        InputError: NaN among the decision values, or arrays that are not one-dimensional.
    """
    first, second = np.asarray(signal, dtype=np.float64), np.asarray(noise, dtype=np.float64)
    if first.ndim != 1 or second.ndim != 1:
        raise InputError(f"Decision values have shapes {first.shape} and {second.shape}", fix="Pass one axis each.")
    both = np.concatenate([first, second])
    if np.isnan(both).any():
        raise InputError("A decision value is NaN", fix="Drop and count undefined trials first.")
    n, m = len(first), len(second)
    if n == 0 or m == 0:
        return float("nan")
    return float((rankdata(both)[:n].sum() - n * (n + 1) / 2) / (n * m))


def clip_proportion(proportion: ArrayLike, n: ArrayLike) -> Floats:
    """Keep proportions of ``n`` trials within 1 / (2n) and 1 - 1 / (2n); shapes broadcast.

    Raises:
        InputError: a proportion outside 0 to 1 (NaN passes).
        UsageError: n below 1.
    """
    p, trials = np.asarray(proportion, dtype=np.float64), np.asarray(n, dtype=np.float64)
    if ((p < 0) | (p > 1)).any():
        raise InputError("A proportion lies outside 0 to 1")
    if (trials < 1).any():
        raise UsageError("n is below 1", fix="Give the number of trials behind the proportion.")
    edge = 1.0 / (2.0 * trials)
    return np.clip(p, edge, 1.0 - edge)


def dprime_from_auc(area: ArrayLike, n: ArrayLike) -> Floats:
    """d' = sqrt 2 Phi^-1(area), the area clipped for ``n`` trials (per class; the smaller one); shapes broadcast.

    Raises:
        InputError, UsageError: see :func:`clip_proportion`.
    """
    return np.sqrt(2.0) * ndtri(clip_proportion(area, n))


def percent_correct_2afc(dprime: ArrayLike) -> Floats:
    """Percent correct (0 to 100) of an unbiased 2AFC observer with sensitivity ``dprime``."""
    return 100.0 * ndtr(np.asarray(dprime, dtype=np.float64) / np.sqrt(2.0))


def dprime_from_2afc(percent_correct: ArrayLike, n: ArrayLike) -> Floats:
    """d' of an unbiased 2AFC observer from percent correct (0 to 100) over ``n`` trials, clipped; shapes broadcast.

    Raises:
        InputError, UsageError: see :func:`clip_proportion`.
    """
    return dprime_from_auc(np.asarray(percent_correct, dtype=np.float64) / 100.0, n)
