"""Adjusted p-values for a family of tests.

Benjamini-Hochberg (1995) bounds the share of false discoveries for independent or positively dependent tests;
Benjamini-Yekutieli (2001) does so under any dependence; Holm (1979) bounds the chance of one false discovery. A test
is a discovery where its adjusted p is at most the bound. NaN (an undefined cell) is no member of the family: it stays
NaN and the others are adjusted as if it were not there. An array of any shape is one family.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import false_discovery_control

from otoscope.core.errors import InputError
from otoscope.stats.checks import Floats


def benjamini_hochberg(p_values: ArrayLike) -> Floats:
    """Adjusted p-values of the same shape; false discovery rate under independence or positive dependence.

    Raises:
        InputError: a p-value outside 0 to 1.
    """
    return _adjust(p_values, lambda p: np.asarray(false_discovery_control(p, method="bh")))


def benjamini_yekutieli(p_values: ArrayLike) -> Floats:
    """Adjusted p-values of the same shape; false discovery rate under any dependence.

    Raises:
        InputError: a p-value outside 0 to 1.
    """
    return _adjust(p_values, lambda p: np.asarray(false_discovery_control(p, method="by")))


def holm(p_values: ArrayLike) -> Floats:
    """Adjusted p-values of the same shape; family-wise error rate under any dependence (step-down).

    Raises:
        InputError: a p-value outside 0 to 1.
    """
    return _adjust(p_values, _holm)


def _holm(p: Floats) -> Floats:
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1.0)
    return adjusted


def _adjust(p_values: ArrayLike, method: Callable[[Floats], Floats]) -> Floats:
    p = np.asarray(p_values, dtype=np.float64)
    member = ~np.isnan(p)
    if ((p[member] < 0) | (p[member] > 1)).any():
        raise InputError("A p-value lies outside 0 to 1", fix="Pass p-values; mark undefined tests as NaN.")
    adjusted = np.full(p.shape, np.nan)
    if member.any():
        adjusted[member] = method(p[member])
    return adjusted
