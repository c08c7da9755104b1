"""Segment-based F1 of events in time: was a class active in each stretch of fixed length, and was it said to be?

``published`` is X-ARES v0.1.3: frames are pooled by maximum over ceil(segment / hop) of them, what is left at the end
is dropped. ``sound`` is the field's definition (Mesaros et al. 2016): stretches of true time, the last one kept though
shorter; a class is active in a stretch that an event touches. Counts per sound and class; F1 of their sums is
:func:`otoscope.readouts.jackknife.f1_shares`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
#: (onset, offset, class number), in s.
Event = tuple[float, float, int]
_EPS = 1e-9


def frames_of(t: float, hop_s: float) -> int:
    """X-ARES: the frame that a time falls on, ceil(t / hop)."""
    return math.ceil(t / hop_s)


def published_grid(
    events: Sequence[Event], n_classes: int, hop_s: float, grid_s: float | None, n_frames: int | None = None
) -> NDArray[np.float32]:
    """Targets ``[T, C]``: frames ceil(onset / hop) to ceil(offset / hop) of a grid of ``grid_s`` (None: up to the last
    offset), which is then cut, or filled with nothing, to ``n_frames`` (None: the grid as it is)."""
    end = max((off for _, off, _ in events), default=0.0) if grid_s is None else grid_s
    size = frames_of(end, hop_s)
    y = np.zeros((max(size, n_frames or 0), n_classes), dtype=np.float32)
    for on, off, c in events:
        y[frames_of(on, hop_s) : min(frames_of(off, hop_s), size), c] = 1
    return y if n_frames is None else y[:n_frames]


def sound_grid(events: Sequence[Event], n_classes: int, hop_s: float, n_frames: int) -> NDArray[np.float32]:
    """Targets ``[n_frames, C]``: 1 where an event holds in the middle of the frame (ours)."""
    middle = (np.arange(n_frames) + 0.5) * hop_s
    y = np.zeros((n_frames, n_classes), dtype=np.float32)
    for on, off, c in events:
        y[(middle >= on) & (middle < off), c] = 1
    return y


def published_counts(said: Bools, truth: Bools, hop_s: float, segment_s: float) -> tuple[Floats, Floats, Floats]:
    """Frames ``[T, C]`` -> true positives, false positives and misses per class ``[C]``."""
    size = math.ceil(segment_s / hop_s)
    n = len(said) // size * size
    a, b = (x[:n].reshape(-1, size, x.shape[1]).any(axis=1) for x in (said, truth))
    return _counts(a, b)


def sound_counts(
    said: Bools, events: Sequence[Event], hop_s: float, segment_s: float, end_s: float | None = None
) -> tuple[Floats, Floats, Floats]:
    """Frames ``[T, C]`` and events -> counts per class. A frame speaks for the stretch that its middle lies in; the
    sound ends with its last frame, or at ``end_s``."""
    end = len(said) * hop_s if end_s is None else end_s
    n = max(1, math.ceil(end / segment_s - _EPS))
    a = np.zeros((n, said.shape[1]), dtype=bool)
    at = np.minimum(((np.arange(len(said)) + 0.5) * hop_s / segment_s).astype(int), n - 1)
    np.logical_or.at(a, at, said)
    b = np.zeros_like(a)
    for on, off, c in events:
        first, last = math.floor(on / segment_s + _EPS), math.ceil(off / segment_s - _EPS)
        b[max(first, 0) : max(last, first + 1), c] = True
    return _counts(a, b)


def _counts(said: Any, truth: Any) -> tuple[Floats, Floats, Floats]:
    tp, fp, fn = (x.sum(axis=0).astype(np.float64) for x in (said & truth, said & ~truth, truth & ~said))
    return tp, fp, fn
