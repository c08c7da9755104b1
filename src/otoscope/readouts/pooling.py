"""Pooling: frames ``[C, T, D]`` of one sound -> one vector.

Time is pooled first, per channel and dimension; then the channels are merged. A pooling that averages the two channels
cancels whatever is antisymmetric between the ears, so which one is used is part of every result: *Low sensitivity* of a
binaural encoder may be nothing but the mean over its channels. Sums run in float64, vectors come out as float32.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otoscope.core.errors import InputError, UsageError
from otoscope.core.registry import suggestions

#: Enters identities; raise it when a number can change.
VERSION = 1


def _mean(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return x.mean(axis=1)


def _max(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return x.max(axis=1)


def _meanstd(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.concatenate([x.mean(axis=1), x.std(axis=1)], axis=-1)


def _first(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return x[:, 0]


def _last(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return x[:, -1]


#: Over time: ``[C, T, D] -> [C, D]`` (``meanstd``: ``[C, 2D]``, population standard deviation).
POOLS: dict[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    "mean": _mean,
    "max": _max,
    "meanstd": _meanstd,
    "first": _first,
    "last": _last,
}

#: Over channels: ``[C, D]`` -> ``[D]`` (mean), ``[C * D]`` (concat), ``[D]`` (difference, left minus right) or ``[2D]``
#: (both: the mean, then the difference).
MERGES = ("mean", "concat", "difference", "both")


def pool_time(frames: NDArray[Any], how: str = "mean") -> NDArray[np.float64]:
    """``[C, T, D]`` (or one value per dimension, T = 1) -> ``[C, D]`` in float64.

    Raises :class:`UsageError` on an unknown ``how`` and :class:`InputError` on a wrong shape or no frames.
    """
    check_pool(how)
    x = np.asarray(frames)
    if x.ndim != 3:
        raise InputError(f"pooling needs frames [C, T, D], got shape {x.shape}")
    if 0 in x.shape:
        raise InputError(f"there is nothing to pool: frames have shape {x.shape}", fix="The sound may be too short.")
    return POOLS[how](x.astype(np.float64))


def merge_channels(vectors: NDArray[np.float64], how: str = "mean") -> NDArray[np.float64]:
    """``[C, D]`` -> one vector. ``difference`` and ``both`` need exactly two channels (:class:`UsageError`)."""
    check_merge(how)
    if vectors.ndim != 2:
        raise InputError(f"merging channels needs [C, D], got shape {vectors.shape}")
    if how in ("difference", "both") and vectors.shape[0] != 2:
        raise UsageError(
            f"merge={how} needs 2 channels of frames, the encoder gives {vectors.shape[0]}",
            fix="Use merge=mean, or channels=per-channel-concat with a mono encoder.",
        )
    mean = vectors.mean(axis=0)
    if how == "mean":
        return mean
    if how == "concat":
        return vectors.reshape(-1)
    difference = vectors[0] - vectors[1]
    return difference if how == "difference" else np.concatenate([mean, difference])


def merge_frames(frames: NDArray[Any], how: str = "mean") -> NDArray[np.float32]:
    """``[C, T, D]`` -> ``[T, D']``: :func:`merge_channels` at every frame."""
    check_merge(how)
    x = np.asarray(frames)
    if x.ndim != 3:
        raise InputError(f"merging frames needs [C, T, D], got shape {x.shape}")
    if len(x) == 1 and how in ("mean", "concat"):
        return x[0].astype(np.float32)
    merged = [merge_channels(x[:, t].astype(np.float64), how) for t in range(x.shape[1])]
    return np.stack(merged).astype(np.float32)


def pool(frames: NDArray[Any], *, time: str = "mean", merge: str = "mean") -> NDArray[np.float32]:
    """``[C, T, D]`` -> float32 vector: :func:`pool_time`, then :func:`merge_channels`."""
    return merge_channels(pool_time(frames, time), merge).astype(np.float32)


def check_pool(how: str) -> None:
    """Raise :class:`UsageError` unless ``how`` is a time pooling."""
    _known("pool", how, list(POOLS))


def check_merge(how: str) -> None:
    """Raise :class:`UsageError` unless ``how`` is a channel merge."""
    _known("merge", how, list(MERGES))


def _known(what: str, value: str, known: list[str]) -> None:
    if value not in known:
        near = suggestions(str(value), known, n=1)
        hint = f"Did you mean {near[0]}? " if near else ""
        raise UsageError(f"there is no {what}={value}", fix=f"{hint}It is one of: {', '.join(known)}.")
