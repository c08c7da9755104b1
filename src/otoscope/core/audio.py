"""The one audio type: samples with a channel axis, and a rate."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from otoscope.core.display import Displayed, Shown
from otoscope.core.errors import InputError

#: More samples than this are not copied into a notebook.
_MOST_PLAYED = 2_000_000


@dataclass(frozen=True, eq=False)
class Audio(Displayed):
    """Sound in memory.

    ``samples`` is a read-only float32 array ``[channels, n]`` (the channel axis is always there; channel 0 is
    the left ear where there are two), nominally within +/-1; ``rate`` is in Hz. A 1-D array is not accepted:
    say ``x[None]``. Raises :class:`InputError` on an empty array, on NaN or infinite samples, on a bad rate.
    """

    samples: NDArray[np.float32]
    rate: int

    def __post_init__(self) -> None:
        x = np.asarray(self.samples)
        if x.ndim != 2:
            raise InputError(f"audio needs an array [channels, n], got shape {x.shape}", fix="Add the channel axis.")
        if x.shape[0] == 0 or x.shape[1] == 0:
            raise InputError(f"audio is empty: shape {x.shape}")
        if not np.issubdtype(x.dtype, np.floating):
            raise InputError(f"audio samples must be floating point, got {x.dtype}", fix="Scale integers to +/-1.")
        if not isinstance(self.rate, int | np.integer) or self.rate <= 0:
            raise InputError(f"sample rate must be a positive whole number of Hz, got {self.rate!r}")
        x = np.ascontiguousarray(x, dtype=np.float32)
        if x is self.samples or np.shares_memory(x, self.samples):
            x = x.copy()  # freezing must not reach back into the caller's array
        if not np.isfinite(x).all():
            bad = int(np.size(x) - np.isfinite(x).sum())
            raise InputError(f"audio holds {bad} NaN or infinite samples")
        x.flags.writeable = False
        object.__setattr__(self, "samples", x)
        object.__setattr__(self, "rate", int(self.rate))

    @property
    def channels(self) -> int:
        return int(self.samples.shape[0])

    @property
    def n(self) -> int:
        """Samples per channel."""
        return int(self.samples.shape[1])

    @property
    def duration_s(self) -> float:
        return self.n / self.rate

    def mono(self) -> Audio:
        """The mean of the channels, as one channel."""
        if self.channels == 1:
            return self
        return Audio(self.samples.mean(axis=0, dtype=np.float64, keepdims=True).astype(np.float32), self.rate)

    def digest(self) -> str:
        """sha256 over shape, rate and the exact samples."""
        h = hashlib.sha256(f"{self.samples.shape}@{self.rate}".encode())
        h.update(self.samples.tobytes())
        return h.hexdigest()

    def __repr__(self) -> str:
        return f"Audio({self.channels} ch, {self.duration_s:.3f} s, {self.rate} Hz)"

    def shown(self) -> Shown:
        """With a player, as long as it is short enough to be copied into a page."""
        from otoscope.core.wav import wav_address

        peak = float(np.abs(self.samples).max())
        facts = {"channels": self.channels, "duration": f"{self.duration_s:.3f} s", "rate": f"{self.rate} Hz"}
        facts |= {"peak": f"{peak:.3g}", "rms": f"{float(np.sqrt(np.mean(np.square(self.samples)))):.3g}"}
        if self.samples.size > _MOST_PLAYED:
            note = f"Too long to be played here ({_MOST_PLAYED:,} samples at most)."
            return Shown("Audio", facts, note=note)
        quiet = peak > 1
        note = "Played at a lower level: it goes beyond full scale." if quiet else ""
        return Shown("Audio", facts, note=note, media=wav_address(self, 0.9 / peak if quiet else 1.0))
