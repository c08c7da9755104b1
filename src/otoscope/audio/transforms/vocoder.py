"""Rung L7: envelopes without fine structure. In each band of one ERB, a noise carries the slow envelope of the sound.

Hilbert envelope, low-passed at 50 Hz, times a Gaussian noise in the band, filtered again, at the level it had.
Independent carriers in the ears destroy interaural phase and leave an envelope cue (the paper; number of bands and
filter shapes are ours). Shared carriers keep the level difference of the ears as it is (a control, ours).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from otoscope.audio.binaural import child
from otoscope.audio.transforms.bands import Band, Complex, through_bands
from otoscope.audio.transforms.base import Float, Transform
from otoscope.core.errors import UsageError


@dataclass(frozen=True)
class Vocoder(Transform):
    """Bands from ``low_hz`` to ``high_hz``; what lies outside is dropped. Carriers are drawn for the seed and shared by
    all conditions. The low-pass has order 4 and zero phase."""

    carriers: Literal["independent", "shared"] = "independent"
    envelope_hz: float = 50.0
    low_hz: float = 50.0
    high_hz: float = 8000.0

    def __post_init__(self) -> None:
        if self.carriers not in ("independent", "shared"):
            raise UsageError(f"there are no {self.carriers!r} carriers", fix="Use independent or shared.")

    def change(self, x: Float, rate: int, seed: int) -> Float:
        def carry(k: int, band: Band, baseband: Complex) -> Complex:
            return smooth(np.abs(baseband), band, self.envelope_hz) * self._carrier(k, band, seed)

        return through_bands(x, rate, self.low_hz, self.high_hz, carry)

    def _carrier(self, k: int, band: Band, seed: int) -> Complex:
        """Analytic noise ``[2, size]`` in band ``k``."""
        ears = []
        for ear in ("left", "right" if self.carriers == "independent" else "left"):
            draws = child(seed, "vocoder", ear, k).standard_normal((len(band.response), 2))
            spectrum = np.zeros(band.size, dtype=np.complex128)
            spectrum[: len(draws)] = draws[:, 0] + 1j * draws[:, 1]
            ears.append(np.fft.ifft(spectrum))
        return np.stack(ears)


def smooth(envelope: Float, band: Band, cutoff_hz: float) -> Float:
    """``envelope [..., size]`` of ``band``, low-passed (Butterworth magnitude, order 4, zero phase), never negative."""
    frequencies = np.fft.rfftfreq(band.size, 1.0 / (band.size * band.bin_hz))
    response = 1.0 / np.sqrt(1.0 + (frequencies / cutoff_hz) ** 8)
    low = np.fft.irfft(np.fft.rfft(envelope, axis=-1) * response, band.size, axis=-1)
    return np.maximum(0.0, low)


@dataclass(frozen=True)
class FlattenEnvelope(Transform):
    """L15: fine structure without envelope. Each band keeps the phase of its analytic signal at a constant modulus.

    Filtering again brings some envelope back, as it does in the ear (Ghitza 2001 for the effect; the rung is ours).
    """

    low_hz: float = 50.0
    high_hz: float = 8000.0

    def change(self, x: Float, rate: int, seed: int) -> Float:
        def flatten(k: int, band: Band, baseband: Complex) -> Complex:
            modulus = np.abs(baseband)
            return np.divide(baseband, modulus, out=np.zeros_like(baseband), where=modulus > 0.0)

        return through_bands(x, rate, self.low_hz, self.high_hz, flatten)
