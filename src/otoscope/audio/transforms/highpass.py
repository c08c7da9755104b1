"""Rung L4: what is left above 2 kHz.

The paper high-passes the stimulus and finds everything still significant. That need not mean that high frequencies
are used: a gentle filter leaves an attenuated tone that any log spectrum sees, and a steep one leaves
distances of nothing whose ratio is still large. The valid version (ours) filters steeply and then adds independent
low-level noise below the edge, as is done with transposed tones; a 500 Hz tone should then not be detected.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import scipy.fft
import scipy.signal

from otoscope.audio.binaural import child
from otoscope.audio.stimuli import band_noise
from otoscope.audio.transforms.base import Float, Signals, Transform, noise_alone
from otoscope.core.errors import InputError, UsageError


@dataclass(frozen=True)
class HighPass(Transform):
    """Butterworth magnitude of ``order`` at ``cutoff_hz``. ``zero`` phase is symmetric in time; ``minimum`` is causal.

    ``mask_db``: level of the noise below the edge (50 Hz to ``cutoff_hz``, independent in the ears, the same for all
    conditions of a seed) re the noise alone before the filter; None adds none. Raises :class:`InputError` where the
    edge is not below the Nyquist frequency.
    """

    needs: ClassVar[tuple[str, ...]] = ("n0",)

    cutoff_hz: float = 2000.0
    order: int = 4
    phase: Literal["zero", "minimum"] = "zero"
    mask_db: float | None = None

    def __post_init__(self) -> None:
        if self.phase not in ("zero", "minimum"):
            raise UsageError(f"there is no filter phase {self.phase!r}", fix="Use zero or minimum.")
        if self.order < 1 or self.cutoff_hz <= 50.0:
            raise InputError(f"a high-pass of order {self.order} at {self.cutoff_hz} Hz is not possible here")

    def apply(self, signals: Signals, rate: int, seed: int) -> dict[str, Float]:
        out = super().apply(signals, rate, seed)
        if self.mask_db is None:
            return out
        reference = noise_alone(signals)
        level = np.sqrt(np.mean(reference**2)) * 10.0 ** (self.mask_db / 20.0)
        n = reference.shape[1]
        rngs = [child(seed, "high-pass-mask", ear) for ear in ("left", "right")]
        mask = level * np.stack([band_noise(rng, n, rate, 50.0, self.cutoff_hz) for rng in rngs])
        return {name: x + mask for name, x in out.items()}

    def change(self, x: Float, rate: int, seed: int) -> Float:
        if self.cutoff_hz >= rate / 2:
            raise InputError(f"a high-pass at {self.cutoff_hz} Hz leaves nothing at a rate of {rate} Hz")
        if self.phase == "minimum":
            sections = scipy.signal.butter(self.order, self.cutoff_hz, "highpass", fs=rate, output="sos")
            return np.asarray(scipy.signal.sosfilt(sections, x, axis=-1))
        n = x.shape[-1]
        n_fft = scipy.fft.next_fast_len(n + rate // 10, real=True)  # room for what rings across the edges
        frequencies = np.arange(n_fft // 2 + 1) * (rate / n_fft)
        with np.errstate(divide="ignore", over="ignore"):
            response = 1.0 / np.sqrt(1.0 + (self.cutoff_hz / frequencies) ** (2 * self.order))
        return np.asarray(np.fft.irfft(np.fft.rfft(x, n_fft, axis=-1) * response, n_fft, axis=-1)[..., :n])
