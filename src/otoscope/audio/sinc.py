"""Change of sample rate by a Hann-windowed sinc, as ``torchaudio.functional.resample`` does by default.

With ``g = gcd(old, new)``, ``o = old / g``, ``m = new / g`` and the cut-off ``b = min(o, m) * 0.99``, output sample
``j m + p`` is the sum over input samples ``x[j o + k]`` of ``x h((k - p o / m) b / o) b / o``, where
``h(t) = sinc(t) cos(pi t / 12)^2`` for ``|t| < 6``. The result has ``ceil(n new / old)`` samples. It is here to repeat
what was published with it (X-ARES v0.1.3); the package's own is :mod:`.resample`. Shapes ``[channels, n]``.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from otoscope.core.audio import Audio
from otoscope.core.errors import UsageError

WIDTH, ROLLOFF = 6, 0.99


def sinc_resample(audio: Audio, rate: int) -> Audio:
    """``audio`` at ``rate`` Hz. Equal rates return the very input. Raises :class:`UsageError` on a bad rate."""
    if not isinstance(rate, int | np.integer) or isinstance(rate, bool) or rate <= 0:
        raise UsageError(f"a sample rate must be a positive whole number of Hz, got {rate!r}")
    if rate == audio.rate:
        return audio
    g = math.gcd(audio.rate, rate)
    old, new = audio.rate // g, rate // g
    kernels, width = _kernels(old, new)
    n = audio.n
    padded = np.pad(audio.samples.astype(np.float64), ((0, 0), (width, width + old)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernels.shape[1], axis=1)[:, ::old]
    y = np.ascontiguousarray(windows) @ kernels.T  # [channels, frames, new]
    y = y.reshape(audio.channels, -1)[:, : sinc_length(n, audio.rate, rate)]
    return Audio(y.astype(np.float32), int(rate))


def sinc_length(n: int, old: int, new: int) -> int:
    """Samples per channel after resampling ``n`` of them."""
    return n if old == new else -(-n * new // old)


def _kernels(old: int, new: int) -> tuple[NDArray[np.float64], int]:
    """One filter per output phase ``[new, taps]``, and how many samples it looks back."""
    cut = min(old, new) * ROLLOFF
    width = math.ceil(WIDTH * old / cut)
    at = np.arange(-width, width + old, dtype=np.float64)[None, :] / old
    t = np.clip((np.arange(0, -new, -1)[:, None] / new + at) * cut, -WIDTH, WIDTH)
    window = np.cos(t * math.pi / WIDTH / 2) ** 2
    return np.sinc(t) * window * cut / old, width
