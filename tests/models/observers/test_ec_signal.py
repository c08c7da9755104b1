"""EC on waveforms gives the closed forms; as a listener it gives threshold differences."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from otoscope.audio.binaural import BinauralSpec
from otoscope.audio.stimuli import render
from otoscope.core.errors import InputError, UsageError
from otoscope.models.observers.ec import ec_durlach_bmld
from otoscope.models.observers.ec_listener import ECListener, proportion_correct
from otoscope.models.observers.ec_signal import ECSignal

# Enough for tones up to 1 kHz, and quick.
RATE = 4000
TOKENS = 40
LISTENING = BinauralSpec(low_hz=0.0, high_hz=2000.0, duration_s=0.5)


def spec_at(frequency: float, name: str) -> BinauralSpec:
    spec = BinauralSpec(
        frequency_hz=frequency, snr_db=-5.0, snr_definition="erb", duration_s=1.0, high_hz=2000.0, normalise="none"
    )
    return spec.with_condition(name)


def gain_db(spec: BinauralSpec, observer: ECSignal) -> tuple[float, ECSignal]:
    """(dE / E) / (dP / P) over tokens, as in the closed form.

    Tones come in both polarities, so that their products with the noise, which vanish in expectation, vanish.
    """
    f0 = spec.frequency_hz
    noise = [render(spec.noise_alone(), s, RATE) for s in range(TOKENS)]
    fitted = observer.calibrate(noise[:16], RATE, f0, render(spec, 0, RATE) - noise[0])
    alone = np.mean([fitted.powers(x, RATE, f0) for x in noise], axis=0)
    phases = [replace(spec, tone_phase=p) for p in (0.7, 0.7 + np.pi)]
    mixed = np.mean([fitted.powers(render(p, s, RATE), RATE, f0) for s in range(TOKENS) for p in phases], axis=0)
    residual, left = (mixed - alone) / alone
    return 10 * math.log10(residual / left), fitted


@pytest.mark.parametrize("frequency", [250.0, 500.0, 1000.0])
@pytest.mark.parametrize("name", ["N0Spi", "NpiS0", "N0Sm"])
def test_signals_give_the_closed_form(frequency: float, name: str) -> None:
    got, fitted = gain_db(spec_at(frequency, name), ECSignal())
    assert got == pytest.approx(ec_durlach_bmld(name, frequency), abs=0.3)
    want_delay = 0.5 / frequency if name == "NpiS0" else 0.0
    assert abs(fitted.delay_s_ or 0.0) == pytest.approx(want_delay, abs=0.02 / frequency)


@pytest.mark.parametrize("name", ["N0S_phi=90deg", "N_rho=0.9 Spi", "NuSpi", "NuS0"])
def test_other_conditions_at_500_hz(name: str) -> None:
    got, _ = gain_db(spec_at(500.0, name), ECSignal())
    assert got == pytest.approx(ec_durlach_bmld(name, 500.0), abs=0.4)


def test_uncorrelated_noise_needs_the_target() -> None:
    spec = spec_at(500.0, "NuSpi")
    noise = [render(spec.noise_alone(), s, RATE) for s in range(16)]
    with pytest.raises(InputError, match="uncorrelated"):
        ECSignal().calibrate(noise, RATE, 500.0)


def test_a_level_difference_is_equalised_on_request() -> None:
    spec = spec_at(500.0, "N0Spi")
    offset = np.array([[1.0], [0.25]])
    noise = [offset * render(spec.noise_alone(), s, RATE) for s in range(8)]
    plain, equal = (ECSignal(equal_power=e).calibrate(noise, RATE, 500.0) for e in (False, True))
    ratios = [np.divide(*o.powers(noise[0], RATE, 500.0)) for o in (plain, equal)]
    assert ratios[1] < 0.8 * ratios[0], "cancels better"
    assert equal.gain_ == pytest.approx(4.0, rel=1e-6)


def test_a_limit_on_the_delay_is_kept() -> None:
    spec = spec_at(250.0, "NpiS0")
    noise = [render(spec.noise_alone(), s, RATE) for s in range(8)]
    fitted = ECSignal(max_delay_s=700e-6).calibrate(noise, RATE, 250.0)
    assert abs(fitted.delay_s_ or 0.0) == pytest.approx(700e-6)


def test_decisions() -> None:
    spec = spec_at(500.0, "N0Spi")
    noise = [render(spec.noise_alone(), s, RATE) for s in range(8)]
    ec = ECSignal().calibrate(noise, RATE, 500.0)
    residual, left = ec.powers(noise[0], RATE, 500.0)
    assert ec.decision(noise[0], RATE, 500.0) == pytest.approx(math.log(residual))
    monaural = ECSignal(path="monaural").calibrate(noise, RATE, 500.0)
    assert monaural.decision(noise[0], RATE, 500.0) == pytest.approx(math.log(left))
    assert ec.decision(render(spec, 0, RATE), RATE, 500.0) > ec.decision(noise[0], RATE, 500.0)
    with pytest.raises(UsageError, match="fitted"):
        ECSignal().decision(noise[0], RATE, 500.0)
    for bad in (np.zeros((1, 8000)), np.zeros((2, 400)), np.zeros((2, 8000))):
        with pytest.raises(InputError):
            ec.decision(bad, RATE, 500.0)
    with pytest.raises(InputError, match="none"):
        ECSignal().calibrate([], RATE, 500.0)
    with pytest.raises(InputError, match="length"):
        ECSignal().calibrate([noise[0], noise[1][:, :-8]], RATE, 500.0)


def test_proportion_correct_is_the_share_of_pairs() -> None:
    signal, noise = np.array([1.0, 3.0, 3.0]), np.array([0.0, 2.0, 3.0, 4.0])
    want = np.mean([(s > n) + 0.5 * (s == n) for s in signal for n in noise])
    assert proportion_correct(signal, noise) == pytest.approx(want)


@pytest.fixture(scope="module")
def listener() -> ECListener:
    # The check values are for noise to 8 kHz; noise of the same density to 2 kHz only moves the broadband SNR.
    return ECListener(n_tokens=400, rate=RATE, spec=LISTENING)


@pytest.fixture(scope="module")
def bmld(listener: ECListener) -> dict[float, float]:
    return {f: listener.bmld_db("N0Spi", f) for f in (250.0, 500.0, 1000.0)}


def test_the_listener_at_500_hz(bmld: dict[float, float]) -> None:
    assert bmld[500.0] == pytest.approx(11.8, abs=1.0)


def test_the_bmld_of_the_listener_falls_with_frequency(bmld: dict[float, float]) -> None:
    assert bmld[250.0] > bmld[500.0] > bmld[1000.0]
    assert (bmld[250.0], bmld[1000.0]) == pytest.approx((14.1, 6.2), abs=1.2)


def test_thresholds_of_the_listener(listener: ECListener) -> None:
    paths = listener.path_thresholds_db("N0S0", 500.0)
    assert paths["ec"] == pytest.approx(paths["monaural"], abs=0.02), "equal ears cancel alike with and without a tone"
    to_8_khz = 10 * math.log10(2000 / 8000)
    assert paths["monaural"] is not None
    assert paths["monaural"] + to_8_khz == pytest.approx(-27.2, abs=1.0)


def test_a_shortcut_is_no_shortcut_in_the_result(listener: ECListener) -> None:
    # The same trials, mixed as sounds and filtered one by one, are as often correct at threshold.
    few = replace(listener, n_tokens=60)
    threshold = few.path_thresholds_db("N0Spi", 500.0)["ec"]
    assert threshold is not None
    at = replace(LISTENING, normalise="none", snr_db=threshold)
    noise = [render(at.noise_alone(), s, RATE, "noise") for s in range(60)]
    fitted = ECSignal().calibrate(noise[:50], RATE, 500.0)
    values = [
        np.array([fitted.decision(x, RATE, 500.0) for x in sounds])
        for sounds in ([render(at, s, RATE, "signal") for s in range(60)], noise)
    ]
    assert proportion_correct(*values) == pytest.approx(0.794, abs=0.01)


def test_what_is_never_heard_is_an_error() -> None:
    deaf = ECListener(n_tokens=10, rate=RATE, spec=LISTENING, correct=1.1)
    with pytest.raises(InputError, match="not heard"):
        deaf.threshold_db("N0S0", 500.0)
