"""What the reference front ends share: spectra of both ears, log-mel energies, interaural phase per mel band.

Frames of 32 ms every 10 ms at 16 kHz (Hann), 64 mel bands from 50 to 8000 Hz: our choice of what a common audio
front end looks like. Both ears pass through identical operations, so equal ears give equal features, bit for bit.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from otoscope.audio.erb import mel_filterbank
from otoscope.audio.stft import spectra_blocks
from otoscope.core.errors import InputError

Float = NDArray[np.float64]
Complex = NDArray[np.complex128]

RATE = 16000
N_FFT = 512
HOP = 160
HOP_S = HOP / RATE
N_MELS = 64
#: Added to mel energies before the logarithm (natural); 75 dB and more below the default stimuli.
FLOOR = 1e-10


def two_ears(x: NDArray[np.floating]) -> Float:
    """``x`` as float64 ``[2, n]``. Raises :class:`InputError` on another shape."""
    if x.ndim != 2 or x.shape[0] != 2:
        raise InputError(f"a binaural front end needs an array [2, n], got {x.shape}")
    return np.asarray(x, dtype=np.float64)


def by_frame(x: Float, feature: Callable[[Complex], Float]) -> Float:
    """``x [..., n]`` at 16 kHz -> ``feature`` of its spectra ``[..., T, 257]``, a few frames at once: ``[..., T, D]``.

    Raises :class:`InputError` on less than one frame.
    """
    return np.concatenate([feature(block) for block in spectra_blocks(x, N_FFT, HOP)], axis=-2)


@functools.cache
def _mel_weights() -> Float:
    weights = mel_filterbank(N_MELS, N_FFT, RATE, 50.0, 8000.0).T.copy()
    weights.flags.writeable = False
    return weights


@functools.cache
def _mel_average() -> Float:
    weights = _mel_weights() / _mel_weights().sum(axis=0)
    weights.flags.writeable = False
    return weights


def log_mel(spectrum: Complex) -> Float:
    """Natural log of mel energies: ``[..., T, 257]`` -> ``[..., T, 64]``."""
    return np.asarray(np.log((spectrum.real**2 + spectrum.imag**2) @ _mel_weights() + FLOOR))


def mel_phase(spectrum: Complex) -> Float:
    """Interaural phase of ``[2, T, 257]`` as cos and sin, averaged over each mel band: ``[T, 128]``.

    Bins where an ear is silent have no phase and count as 0.
    """
    cross = spectrum[0] * spectrum[1].conj()
    modulus = np.abs(cross)
    unit = np.divide(cross, modulus, out=np.zeros_like(cross), where=modulus > 0.0)
    return np.concatenate([unit.real @ _mel_average(), unit.imag @ _mel_average()], axis=-1)
