"""GCC-PHAT finds delays, and says nothing about diotic sounds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from otoscope.audio.binaural import BinauralSpec
from otoscope.audio.stimuli import band_noise, render, triplet
from otoscope.core.errors import InputError
from otoscope.models.observers.gcc_phat import GccPhat, add_sensor_noise, gcc_phat, lag_us

RATE = 16000
ITDS_US = (-500, -400, -300, -200, -100, -50, 0, 50, 100, 200, 300, 400, 500)


def delayed(itd_us: float, seed: int, sensor_db: float | None = None, n: int = RATE // 2) -> np.ndarray:
    """Broadband noise whose right ear lags by ``itd_us``, with independent noise per ear on request."""
    left = band_noise(np.random.default_rng(seed), n, RATE, 50.0, 7500.0)
    turn = np.exp(-2j * np.pi * np.fft.rfftfreq(n, 1 / RATE) * itd_us * 1e-6)
    x = np.stack([left, np.fft.irfft(np.fft.rfft(left) * turn, n)])
    return add_sensor_noise(x, sensor_db, seed)


@pytest.mark.parametrize(("sensor_db", "limit"), [(None, 1.0), (-60.0, 1.0), (-10.0, 10.0)])
def test_delays_of_broadband_noise(sensor_db: float | None, limit: float) -> None:
    errors = [lag_us(delayed(itd, k, sensor_db), RATE) - itd for k, itd in enumerate(ITDS_US)]
    assert np.median(np.abs(errors)) < limit
    assert np.max(np.abs(errors)) < 10.0


def test_the_sign_is_that_of_the_specs() -> None:
    tone = BinauralSpec(snr_db=20.0, level_dbfs=-60.0).with_condition("N0S_tau=300us")
    x = render(tone, 0, RATE) - render(tone.noise_alone(), 0, RATE)
    assert GccPhat().lag_us(x, RATE, band_hz=(450.0, 550.0)) == pytest.approx(300.0, abs=60.0)


def test_against_another_implementation() -> None:
    localization = pytest.importorskip("pyroomacoustics.experimental.localization")
    for k, itd in enumerate((-300, 125, 400)):
        x = delayed(itd, k, -60.0)
        other = localization.tdoa(x[1], x[0], interp=16, fs=RATE, phat=True) * 1e6
        assert lag_us(x, RATE) == pytest.approx(other, abs=5.0)


def test_bands_lags_and_shapes() -> None:
    x = delayed(250.0, 0)
    lags, correlation = gcc_phat(x, RATE, max_lag_s=0.5e-3, interpolation=8)
    assert (lags[0], lags[-1]) == (-500.0, 500.0)
    assert correlation.shape == lags.shape
    assert correlation.max() <= 1.0
    x[:, :] += np.stack([np.zeros(x.shape[1]), 3 * band_noise(np.random.default_rng(9), x.shape[1], RATE, 3000, 7000)])
    assert lag_us(x, RATE, band_hz=(100.0, 2500.0)) == pytest.approx(250.0, abs=5.0)
    with pytest.raises(InputError):
        gcc_phat(x[:1], RATE)
    with pytest.raises(InputError):
        gcc_phat(x, RATE, band_hz=(9000.0, 9001.0))


def test_diotic_sounds_say_nothing_until_a_sensor_adds_noise() -> None:
    three = triplet(BinauralSpec(snr_db=-5.0), 0, RATE)
    bare, sensed = GccPhat(), GccPhat(sensor_noise_db=-60.0)
    assert abs(bare.decision(three["n0"], RATE, 500.0)) < 1e-9
    assert abs(bare.decision(three["s0"], RATE, 500.0)) < 1e-9
    assert bare.decision(three["spi"], RATE, 500.0) > 0.05
    values = {k: sensed.decision(x, RATE, 500.0) for k, x in three.items()}
    assert values["n0"] > 1e-9
    assert values["spi"] > 10 * max(values["n0"], values["s0"])
    assert sensed.decision(three["n0"], RATE, 500.0) == values["n0"], "the same sensor every time"


def test_the_statistic_grows_with_the_target() -> None:
    observer = GccPhat()
    spec = BinauralSpec(snr_db=0.0)
    values = [
        np.mean([observer.decision(render(replace(spec, snr_db=q), s, RATE), RATE, 500.0) for s in range(6)])
        for q in (-25.0, -15.0, -5.0)
    ]
    assert values == sorted(values)
    with pytest.raises(InputError, match="no bin"):
        observer.decision(np.ones((2, 20)), RATE, 40.0)
