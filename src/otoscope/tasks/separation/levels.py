"""Ratios of a separated sound to its reference, in dB: SI-SDR and SI-SNR (J. Le Roux et al., ICASSP 2019), BSS Eval's
SDR, SIR and SAR (E. Vincent et al., IEEE TASLP 14(4), 2006).

A ratio that does not exist is :class:`Undefined`, with the reason: never NaN, never infinite.
"""

from __future__ import annotations

import math
import warnings

import numpy as np
from numpy.typing import ArrayLike, NDArray

Float = NDArray[np.float64]

#: Beyond this (dB, either sign) a ratio of float32 signals is rounding, and counts as infinite.
LIMIT_DB = 140.0
#: BSS Eval allows the reference any filter of this many taps; sounds must be longer than that.
BSS_TAPS = 512


class Undefined(Exception):
    """Why a metric does not exist for a sound."""


def si_sdr_db(estimate: ArrayLike, reference: ArrayLike) -> float:
    """Scale-invariant signal-to-distortion ratio of ``estimate`` ``[n]``:
    ``10 log10(|a s|^2 / |e - a s|^2)`` with ``a = <e, s> / <s, s>``."""
    e, s = checked_pair(estimate, reference)
    part = s * (float(e @ s) / float(s @ s))
    return _ratio_db(float(part @ part), float((e - part) @ (e - part)))


def si_snr_db(estimate: ArrayLike, reference: ArrayLike) -> float:
    """:func:`si_sdr_db` after the mean of both is removed."""
    e, s = checked_pair(estimate, reference)
    return si_sdr_db(e - e.mean(), s - s.mean())


def bss_eval_db(estimate: ArrayLike, reference: ArrayLike, rest: ArrayLike) -> dict[str, float]:
    """``sdr_db``, ``sir_db``, ``sar_db`` of ``estimate`` ``[n]``, where ``rest`` is everything in the mixture that is
    not the ``reference``: interference is what a 512-tap filter of the rest explains, artefacts are what neither
    explains. By ``mir_eval.separation.bss_eval_sources``."""
    import mir_eval.separation

    e, s = checked_pair(estimate, reference)
    other = np.asarray(rest, dtype=np.float64)
    if not np.any(other):
        raise Undefined("the rest of the mixture is silent")
    if len(e) <= BSS_TAPS:
        raise Undefined(f"{len(e)} samples are too few: BSS Eval needs more than {BSS_TAPS}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # it announces the module's removal in 0.9: see pyproject.toml
        try:
            # The second estimate is not read: the library wants as many estimates as references.
            found = mir_eval.separation.bss_eval_sources(np.stack([s, other]), np.stack([e, e]), False)
        except (np.linalg.LinAlgError, AttributeError) as error:
            # With NumPy 2 the library meets a singular system with an AttributeError of its own.
            raise Undefined("target and rest cannot be told apart by filters (singular system)") from error
    values = {name: float(v[0]) for name, v in zip(("sdr_db", "sir_db", "sar_db"), found[:3], strict=True)}
    for name, value in values.items():
        if not math.isfinite(value) or abs(value) > LIMIT_DB:
            raise Undefined(f"{name} is infinite")
    return values


def checked_pair(estimate: ArrayLike, reference: ArrayLike) -> tuple[Float, Float]:
    """Both in float64; raises :class:`Undefined` where one is silent."""
    e, s = np.asarray(estimate, dtype=np.float64), np.asarray(reference, dtype=np.float64)
    if e.shape != s.shape or e.ndim != 1:
        raise ValueError(f"needs two arrays [n], got {e.shape} and {s.shape}")
    if not np.any(s):
        raise Undefined("the reference is silent")
    if not np.any(e):
        raise Undefined("the output is silent")
    return e, s


def _ratio_db(signal: float, noise: float) -> float:
    value = 10.0 * (math.log10(signal) - math.log10(noise)) if signal > 0.0 and noise > 0.0 else math.inf
    if abs(value) <= LIMIT_DB:
        return value
    holds = signal > noise
    raise Undefined("infinite: equal up to scale" if holds else "minus infinite: it holds nothing of the reference")
