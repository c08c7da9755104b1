"""The coherence observer."""

from __future__ import annotations

import math

import numpy as np
import pytest

from otoscope.audio.binaural import BinauralSpec
from otoscope.audio.stimuli import render
from otoscope.core.errors import InputError, UsageError
from otoscope.models.observers.coherence import CoherenceObserver, coherence, fisher

RATE = 4000
SPEC = BinauralSpec(snr_db=-10.0, snr_definition="erb", duration_s=1.0, high_hz=2000.0)


@pytest.mark.parametrize(("name", "want"), [("N0", 1.0), ("Npi", -1.0), ("N_rho=0.8", 0.8), ("Nu", 0.0)])
def test_coherence_of_maskers(name: str, want: float) -> None:
    noise = [coherence(render(SPEC.noise_alone().with_condition(name), s, RATE), RATE, 500.0) for s in range(12)]
    assert np.mean(noise) == pytest.approx(want, abs=0.08)


def test_coherence_holds_phase() -> None:
    spec = BinauralSpec(snr_db=60.0, snr_definition="erb", duration_s=1.0, high_hz=2000.0, level_dbfs=-90.0)
    gamma = coherence(render(spec.with_condition("N0S_phi=60deg"), 0, RATE), RATE, 500.0)
    assert np.angle(gamma, deg=True) == pytest.approx(60.0, abs=0.5)
    assert abs(fisher(gamma)) == pytest.approx(math.atanh(0.9 * abs(gamma)))
    assert coherence(np.stack([np.ones(4000), np.zeros(4000)]), RATE, 500.0) == 0


def test_decisions_grow_with_the_target_and_favour_spi() -> None:
    noise = [render(SPEC.noise_alone(), s, RATE) for s in range(12)]
    observer = CoherenceObserver().calibrate(noise, RATE, 500.0)

    def d_prime(name: str, snr: float) -> float:
        spec = BinauralSpec(snr_db=snr, snr_definition="erb", duration_s=1.0, high_hz=2000.0).with_condition(name)
        return float(np.mean([observer.decision(render(spec, s, RATE), RATE, 500.0) for s in range(12)]))

    spi = [d_prime("N0Spi", snr) for snr in (-25.0, -15.0, -5.0)]
    assert spi == sorted(spi)
    assert d_prime("N0Spi", -15.0) > 3 * d_prime("N0S0", -15.0)
    with pytest.raises(UsageError, match="fitted"):
        CoherenceObserver().decision(noise[0], RATE, 500.0)
    with pytest.raises(InputError):
        CoherenceObserver().calibrate([], RATE, 500.0)


def test_predicted_bmlds_are_in_the_order_of_listeners() -> None:
    observer = CoherenceObserver()
    order = ("N0S0", "NuSpi", "NpiSm", "N0Sm", "NpiS0", "N0Spi")
    got = [observer.bmld_db(name, 500.0) for name in order]
    assert got == sorted(got)
    assert got[0] == 0.0
    assert 10.0 < got[-1] < 16.0
    assert observer.bmld_db("NmSm", 500.0) == pytest.approx(0.0, abs=0.01)
    falling = [observer.bmld_db(f"N_rho={r} Spi", 500.0) for r in (1, 0.99, 0.95, 0.9, 0.6, 0)]
    assert falling == sorted(falling, reverse=True)
    with pytest.raises(UsageError):
        observer.bmld_db("N0", 500.0)
