"""What is done to sounds while they are learned: another speed, another level, some noise. Off unless a recipe asks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

from otoscope.audio.signals import from_db
from otoscope.core.errors import UsageError


@dataclass(frozen=True)
class Augment:
    """``share`` of clips are played faster or slower by a factor in ``speed`` (pitch moves along); every level moves by
    ``gain_db``, and noise lies ``noise_db`` below the sound in ``share`` of clips (no numbers: not done)."""

    share: float = 0.0
    speed: tuple[float, ...] = ()
    gain_db: tuple[float, ...] = ()
    noise_db: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        for name in ("speed", "gain_db", "noise_db"):
            ends = getattr(self, name)
            if ends and (len(ends) != 2 or ends[0] > ends[1] or (name == "speed" and ends[0] <= 0)):
                raise UsageError(f"{name}={list(ends)} is no range", where="augment", fix="Give two rising numbers.")

    @property
    def slowest(self) -> float:
        """How many times as long a clip can become."""
        return 1 / min(1.0, self.speed[0]) if self.speed and self.share else 1.0

    def __call__(self, wave: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
        """Another version of ``wave`` ``[n]``."""
        if self.speed and rng.random() < self.share:
            hundredths = round(100 * float(rng.uniform(self.speed[0], self.speed[1])))
            wave = resample_poly(wave, 100, hundredths).astype(np.float32)
        if self.gain_db:
            wave = wave * np.float32(_drawn(self.gain_db, rng))
        if self.noise_db and rng.random() < self.share:
            level = np.sqrt(np.mean(np.square(wave, dtype=np.float64)) + 1e-12)
            noise = rng.standard_normal(len(wave)) * level / _drawn(self.noise_db, rng)
            wave = (wave + noise).astype(np.float32)
        return wave


def _drawn(ends: tuple[float, ...], rng: np.random.Generator) -> float:
    """A factor of so many dB."""
    return float(from_db(float(rng.uniform(ends[0], ends[1]))))
