"""Frames of many sounds, each as long as it is: what a readout gets that looks at frames and not at pooled vectors.

Rows are chosen by an index array, as of an array; nothing is copied or padded until a batch is. So frames may stay in
memory-mapped files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otoscope.core.errors import InputError


@dataclass(frozen=True, eq=False)
class Ragged:
    """``parts[i]`` is ``[T_i, D]`` float32, the frames of sound i; ``hop_s`` the time between them (None: unknown).
    Raises :class:`InputError` where widths differ or a sound has no frames."""

    parts: Sequence[NDArray[np.float32]]
    hop_s: float | None = None

    def __post_init__(self) -> None:
        if any(p.ndim != 2 or not len(p) for p in self.parts):
            raise InputError("frames must be [T, D] with T from 1 on", fix="A sound may be too short for the encoder.")
        if len({p.shape[1] for p in self.parts}) > 1:
            raise InputError(f"frames differ in width: {sorted({p.shape[1] for p in self.parts})}")

    def __len__(self) -> int:
        return len(self.parts)

    def __getitem__(self, rows: NDArray[Any]) -> Ragged:
        return Ragged([self.parts[int(i)] for i in np.asarray(rows).tolist()], self.hop_s)

    @property
    def dim(self) -> int:
        return int(self.parts[0].shape[1])

    @property
    def lengths(self) -> NDArray[np.int64]:
        return np.array([len(p) for p in self.parts], dtype=np.int64)

    def hop(self) -> float:
        """``hop_s``. Raises :class:`InputError` where the encoder does not say it."""
        if self.hop_s is None:
            raise InputError(
                "the encoder does not say how far apart its frames are, so they cannot be put against times",
                fix="Give the encoder a hop, or look at a layer whose frames are evenly spaced.",
            )
        return self.hop_s

    def padded(self, at_least: int = 0) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """``[N, T, D]``, zeros behind the end of each, and ``[N, T]``: true where a frame is real."""
        n = max(int(self.lengths.max(initial=0)), at_least)
        x = np.zeros((len(self), n, self.dim), dtype=np.float32)
        real = np.zeros((len(self), n), dtype=bool)
        for i, p in enumerate(self.parts):
            x[i, : len(p)], real[i, : len(p)] = p, True
        return x, real
