"""Checks of arguments that the statistics share, each raising an error that says what to do."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from otoscope.core.errors import InputError, UsageError

Floats = NDArray[np.float64]


def as_floats(values: ArrayLike, *, ndim: int, what: str) -> Floats:
    """Return ``values`` as a float64 array of ``ndim`` axes; NaN marks an undefined value.

    Raises:
        InputError: another number of axes, something that is no number, or an infinite value.
    """
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{what} are not numbers ({error})", fix="Pass numbers; mark undefined values as NaN."
        ) from error
    if array.ndim != ndim:
        raise InputError(f"{what} have {array.ndim} axes (shape {array.shape}), {ndim} expected")
    if np.isinf(array).any():
        raise InputError(
            f"{what} hold {int(np.isinf(array).sum())} infinite values",
            fix="Decide what they mean: mark them as NaN (undefined) or clip them before averaging.",
        )
    return array


def check_fraction(value: float, what: str) -> float:
    """Return ``value`` if it lies strictly between 0 and 1.

    Raises:
        UsageError: it does not.
    """
    if not 0.0 < value < 1.0:
        raise UsageError(f"{what} is {value}", fix="It must lie strictly between 0 and 1.")
    return float(value)


def check_resamples(n_resamples: int, level: float) -> int:
    """Return ``n_resamples`` if the tails outside ``level`` hold at least one resample each.

    Raises:
        UsageError: too few resamples for that level.
    """
    least = int(np.ceil(2.0 / (1.0 - check_fraction(level, "level"))))
    if n_resamples < least:
        raise UsageError(
            f"{n_resamples} resamples cannot resolve an interval of level {level}",
            fix=f"Use at least {least}; 2000 is the usual choice.",
        )
    return int(n_resamples)


def check_choice(value: str, choices: tuple[str, ...], what: str) -> str:
    """Return ``value`` if it is one of ``choices``.

    Raises:
        UsageError: it is not.
    """
    if value not in choices:
        raise UsageError(f"{what} {value!r} does not exist", fix=f"Use one of: {', '.join(choices)}.")
    return value
