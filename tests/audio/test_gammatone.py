"""The complex gammatone against its definition in time."""

from __future__ import annotations

import numpy as np
import pytest

from otoscope.audio.gammatone import analytic_band, bandwidth_hz, envelope_autocorrelation, response
from otoscope.core.errors import InputError


def test_impulse_response_is_the_gammatone() -> None:
    rate, f0 = 48000, 500.0
    x = np.zeros(9600)
    x[0] = 1.0
    got = analytic_band(x, rate, f0)
    t = np.arange(9600) / rate
    b = bandwidth_hz(f0)
    want = t**3 * np.exp(2 * np.pi * (1j * f0 - b) * t)
    got, want = got / np.abs(got).max(), want / np.abs(want).max()
    turn = np.vdot(want, got) / np.vdot(want, want)
    assert np.max(np.abs(got - turn * want)) < 0.01


def test_tone_at_the_centre_passes_with_gain_one_and_is_analytic() -> None:
    rate = 16000
    x = np.sin(2 * np.pi * 1000.0 * np.arange(rate) / rate)
    band = analytic_band(x, rate, 1000.0)[4000:12000]
    assert np.allclose(np.abs(band), 1.0, atol=1e-3)
    assert abs(response(1000.0 + bandwidth_hz(1000.0), 1000.0)) == pytest.approx(0.25)


@pytest.mark.parametrize("f0", [125.0, 500.0, 2000.0])
def test_envelope_autocorrelation_against_the_power_response(f0: float) -> None:
    b = bandwidth_hz(f0)
    detuning = np.linspace(-400.0, 400.0, 400001) * b
    power = np.abs(response(f0 + detuning, f0)) ** 2
    for delay in (0.0, 0.5 / f0, 2.0 / f0):
        want = np.sum(power * np.cos(2 * np.pi * detuning * delay)) / np.sum(power)
        assert float(envelope_autocorrelation(delay, f0)) == pytest.approx(want, abs=1e-5)


def test_equal_ears_and_other_rates() -> None:
    x = np.random.default_rng(0).standard_normal(4001)
    a, b = analytic_band(np.stack([x, x]), 16000, 500.0)
    assert np.array_equal(a, b)
    spectrum = np.fft.rfft(x[:4000])
    spectrum[-1] = 0.0
    low, high = np.fft.irfft(spectrum, 4000), np.fft.irfft(np.pad(spectrum, (0, 2000)), 8000) * 2
    assert np.allclose(
        analytic_band(low, 16000, 500.0)[1000:3000], analytic_band(high, 32000, 500.0)[2000:6000:2], atol=2e-3
    )
    for f0 in (0.0, 8000.0):
        with pytest.raises(InputError):
            analytic_band(x, 16000, f0)
