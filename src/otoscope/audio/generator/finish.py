"""The last steps of every generated sound: background, ends, rate, peaks, level. Ours."""

from __future__ import annotations

import numpy as np

from otoscope.audio.generator import dsp
from otoscope.audio.generator.recipe import Array
from otoscope.audio.resample import resample_array
from otoscope.audio.signals import ramp, root_mean_square, set_level

#: Highest peak above the RMS, in dB; sparse sounds are limited softly to it.
CREST_DB = 22.0
#: Level of the background noise below the sound, in dB: quiet, but never digital silence.
BACKGROUND_DB = -55.0


def finish(x: Array, rng: np.random.Generator, n: int, rate: int, level_dbfs: float) -> Array:
    """``x`` at :data:`~.dsp.RATE` to ``[n]`` samples at ``rate``, RMS exactly ``level_dbfs``, peak at most
    ``level_dbfs + CREST_DB``."""
    background = dsp.coloured(len(x), rng, -3, 60, 15e3)
    x = x + background * root_mean_square(x) * 10 ** (BACKGROUND_DB / 20)
    x = ramp(x, dsp.RATE, min(0.005, len(x) / dsp.RATE / 4))
    x = resample_array(x[None], dsp.RATE, rate)[0, :n]
    return set_level(limit_crest(x - x.mean(), CREST_DB), level_dbfs)


def limit_crest(x: Array, crest_db: float) -> Array:
    """``x`` bent softly at the highest threshold (in steps of 5 %) that keeps peak / RMS within ``crest_db``."""
    limit = 10 ** (crest_db / 20)
    threshold = float(np.abs(x).max())
    y = x
    while np.abs(y).max() > limit * root_mean_square(y):
        threshold *= 0.95
        y = x / (1 + (np.abs(x) / threshold) ** 4) ** 0.25
    return y
