"""Tones, noise, ramps, levels."""

from __future__ import annotations

import numpy as np
import pytest

from otoscope.audio import signals as s
from otoscope.core.errors import InputError, UsageError


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_tone_has_the_frequency_level_and_phase() -> None:
    x = s.tone(500.0, 1.0, 16_000, phase_rad=np.pi / 2, amplitude=0.5)
    assert x.shape == (16_000,)
    assert x[0] == 0.5
    assert np.abs(np.fft.rfft(x)).argmax() == 500
    assert s.db(s.root_mean_square(x)) == pytest.approx(-3.0103 - 6.0206, abs=1e-3)
    for f in (0.0, 8000.0, -1.0):
        with pytest.raises(UsageError):
            s.tone(f, 1.0, 16_000)


def test_noise_lies_in_its_band_has_its_rms_and_repeats() -> None:
    x = s.noise(1.0, 16_000, rng(), band_hz=(400.0, 600.0), rms=0.3)
    power = np.abs(np.fft.rfft(x)) ** 2
    assert power[400:601].sum() / power.sum() == pytest.approx(1.0, abs=1e-12)
    assert s.root_mean_square(x) == pytest.approx(0.3)
    assert np.array_equal(x, s.noise(1.0, 16_000, rng(), band_hz=(400.0, 600.0), rms=0.3))
    assert not np.array_equal(x, s.noise(1.0, 16_000, rng(1), band_hz=(400.0, 600.0), rms=0.3))
    for band in ((600.0, 400.0), (100.0, 9000.0), (100.1, 100.2)):
        with pytest.raises(UsageError):
            s.noise(0.5, 16_000, rng(), band_hz=band)


def test_ramps_rise_fall_and_cross_fade_to_one() -> None:
    x = s.ramp(np.ones((2, 1000)), 1000, 0.1, 0.2)
    assert np.all(x[:, 100:800] == 1)
    assert np.all(np.diff(x[0, :100]) > 0)
    assert np.all(np.diff(x[0, 800:]) < 0)
    assert np.allclose(s.raised_cosine(64) + s.raised_cosine(64)[::-1], 1)
    with pytest.raises(UsageError, match="do not fit"):
        s.ramp(np.ones(100), 1000, 0.06)


def test_ramp_leaves_its_input_alone() -> None:
    x = np.ones(100)
    s.ramp(x, 1000, 0.01)
    assert np.all(x == 1)


def test_levels() -> None:
    stereo = np.stack([rng().standard_normal(1000), 0.1 * rng(1).standard_normal(1000)])
    y = s.set_level(stereo, -25.0)
    assert s.db(s.root_mean_square(y)) == pytest.approx(-25.0)
    assert np.allclose(y[0] / stereo[0], y[1] / stereo[1])
    assert s.from_db(6.0206) == pytest.approx(2.0, rel=1e-4)
    assert s.db(0.0) == -np.inf
    with pytest.raises(InputError, match="silence"):
        s.set_level(np.zeros(5), -20.0)


def test_signals_of_unequal_lengths_are_not_added() -> None:
    with pytest.raises(InputError, match="different shapes"):
        s.add(np.ones(10), np.ones(11))
    with pytest.raises(UsageError, match="holds no sample"):
        s.samples(1e-6, 8000)
