"""Change of sample rate by soxr, quality HQ, all channels in one call with the same filter.

The result has ``round(n * new / old)`` samples per channel (half away from zero, at least one), so its duration is
the input's to within half a sample. Equal channels stay equal bit for bit. Equal rates return the very input.
"""

from __future__ import annotations

import math

import numpy as np
import soxr
from numpy.typing import NDArray

from otoscope.core.audio import Audio
from otoscope.core.errors import UsageError


def resample(audio: Audio, rate: int) -> Audio:
    """``audio`` at ``rate`` Hz. Raises :class:`UsageError` on a rate that is not a positive whole number."""
    if not isinstance(rate, int | np.integer) or isinstance(rate, bool) or rate <= 0:
        raise UsageError(f"a sample rate must be a positive whole number of Hz, got {rate!r}")
    if rate == audio.rate:
        return audio
    x = resample_array(audio.samples.astype(np.float64), audio.rate, int(rate))
    return Audio(x.astype(np.float32), int(rate))


def resample_array(x: NDArray[np.float64], old: int, new: int) -> NDArray[np.float64]:
    """``x`` ``[channels, n]`` from ``old`` to ``new`` Hz in float64: ``[channels, length_after(n, old, new)]``."""
    n = x.shape[-1]
    want = length_after(n, old, new)
    if old == new:
        return x
    # soxr drops what its filter has not settled on at the very end; a little silence behind lets it finish.
    pad = math.ceil(4 * max(old / new, 1.0))
    y = soxr.resample(np.pad(x, ((0, 0), (0, pad))).T, old, new, quality="HQ").T
    return np.ascontiguousarray(y[:, :want])


def length_after(n: int, old: int, new: int) -> int:
    """Samples per channel after resampling ``n`` of them."""
    return max(1, math.floor(n * new / old + 0.5))
