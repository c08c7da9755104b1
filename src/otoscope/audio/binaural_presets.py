"""Two stimulus grids for the BMLD benchmark, as data.

``CHEN2026`` follows arXiv 2606.14820 where its protocol is known (frequencies, SNR axis, seeds, rate, normalisation per
channel); duration, band and ramps are not published and are ours. ``DEFAULT`` is ours: levels referred to the noise
alone, a band that fits every sample rate, and SNRs from inaudible to obvious.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from otoscope.audio.binaural import BinauralSpec

#: The tone frequencies of the paper, in Hz.
FREQUENCIES_HZ = (125.0, 250.0, 500.0, 1000.0, 2000.0, 4000.0)


@dataclass(frozen=True)
class Grid:
    """Frequencies x SNRs x seeds of one stimulus. ``rate`` None: each model's own."""

    name: str
    spec: BinauralSpec
    frequencies_hz: tuple[float, ...]
    snrs_db: tuple[float, ...]
    n_seeds: int
    rate: int | None = None

    def specs(self) -> Iterator[BinauralSpec]:
        """One spec per cell, frequency by frequency, SNRs ascending as listed."""
        for f in self.frequencies_hz:
            for snr in self.snrs_db:
                yield replace(self.spec, frequency_hz=f, snr_db=snr)


DEFAULT = Grid(
    name="default",
    spec=BinauralSpec(),
    frequencies_hz=FREQUENCIES_HZ,
    snrs_db=tuple(float(s) for s in range(-30, 11, 4)),
    n_seeds=40,
)

CHEN2026 = Grid(
    name="chen2026",
    spec=BinauralSpec(low_hz=0.0, high_hz=8000.0, normalise="channel_unit_variance"),
    frequencies_hz=FREQUENCIES_HZ,
    snrs_db=tuple(float(s) for s in range(-30, 11, 2)),
    n_seeds=100,
    rate=16000,
)
