"""Rung L6: level differences between the ears that carry no message, the same for all conditions of a seed (ours).

They swamp whatever reads interaural level and leave interaural phase alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from otoscope.audio.binaural import child
from otoscope.audio.transforms.base import Float, Transform
from otoscope.core.errors import InputError


@dataclass(frozen=True)
class LevelOffset(Transform):
    """A fixed gain per ear, in dB."""

    left_db: float = 2.5
    right_db: float = -2.5

    def change(self, x: Float, rate: int, seed: int) -> Float:
        return x * _gains([self.left_db, self.right_db])


@dataclass(frozen=True)
class LevelRove(Transform):
    """A gain per ear drawn within +/- ``range_db`` for each seed, independently for the two ears."""

    range_db: float = 5.0

    def __post_init__(self) -> None:
        if self.range_db < 0.0:
            raise InputError(f"range_db is a half-range and cannot be negative, got {self.range_db}")

    def change(self, x: Float, rate: int, seed: int) -> Float:
        rng = child(seed, "level-rove")
        return x * _gains(list(rng.uniform(-self.range_db, self.range_db, 2)))


def _gains(db: list[float]) -> Float:
    return np.asarray(10.0 ** (np.array(db)[:, None] / 20.0))
