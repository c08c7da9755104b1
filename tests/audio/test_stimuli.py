"""Rendered stimuli: what is shared, what is independent, and at which level."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otoscope.audio.binaural import BinauralSpec
from otoscope.audio.stimuli import (
    band_noise,
    in_room,
    intervals,
    render,
    speech_triplet,
    to_audio,
    tone_phase,
    triplet,
)  # fmt: skip
from otoscope.core.errors import InputError

SHORT = BinauralSpec(duration_s=0.25)
RATE = 16000
seeds = st.integers(0, 2**31)


def db(x: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(np.square(x))))


@given(seeds, st.floats(-40, 5), st.sampled_from(["none", "joint_n0", "joint_rms", "channel_unit_variance"]))
@settings(max_examples=25, deadline=None)
def test_diotic_sounds_are_diotic_to_the_bit(seed: int, snr: float, normalise: str) -> None:
    three = triplet(replace(SHORT, snr_db=snr, normalise=normalise), seed, RATE)
    assert np.array_equal(three["n0"][0], three["n0"][1])
    assert np.array_equal(three["s0"][0], three["s0"][1])
    for sound in to_audio(three, RATE).values():
        assert sound.samples.dtype == np.float32
    if normalise in ("none", "joint_n0"):
        assert np.array_equal(three["s0"][0], three["spi"][0]), "the left ear is the same in every condition"


@given(seeds, st.floats(-40, 5), st.floats(-40, 5), st.sampled_from(["S0", "Spi", "Sm", "S_tau=300us", "S_ild=6dB"]))
@settings(max_examples=25, deadline=None)
def test_noise_and_tone_phase_are_shared_by_conditions_and_snrs(seed, snr, other, target) -> None:
    a = triplet(replace(SHORT, snr_db=snr), seed, RATE, test=target)
    b = triplet(replace(SHORT, snr_db=other), seed, RATE, test=target)
    assert np.array_equal(a["n0"], b["n0"])
    tone_a, tone_b = (x["spi"] - x["n0"] for x in (a, b))
    assert np.allclose(tone_a * 10 ** ((other - snr) / 20), tone_b, atol=1e-9)


@given(seeds, st.sampled_from([32000, 48000]), st.sampled_from(["N0Spi", "NuS0", "N_rho=0.5 Sm", "N0S_phi=60deg"]))
@settings(max_examples=12, deadline=None)
def test_every_rate_samples_one_continuous_sound(seed: int, rate: int, name: str) -> None:
    spec = replace(SHORT, interaural_floor_db=-50.0, level_rove_db=3.0).with_condition(name)
    low, high = render(spec, seed, RATE), render(spec, seed, rate)
    assert np.allclose(high[:, :: rate // RATE], low, atol=1e-12)


def test_band_limited_decimation_gives_the_lower_rate() -> None:
    # Noise and a tone on a bin, without ramps, have no power above 8 kHz: cutting the spectrum decimates exactly.
    spec = BinauralSpec(duration_s=1.0, ramp_s=0.0, frequency_hz=500.0)
    high, low = render(spec, 7, 32000), render(spec, 7, 16000)
    spectrum = np.fft.rfft(high, axis=1)
    assert np.max(np.abs(spectrum[:, 7500:])) < 1e-9 * np.max(np.abs(spectrum))
    assert np.allclose(np.fft.irfft(spectrum[:, :8001], 16000, axis=1) / 2, low, atol=1e-12)


def test_narrow_bands_hold_the_bins_of_wide_ones() -> None:
    wide = band_noise(np.random.default_rng(0), 8000, RATE, 50.0, 7500.0)
    narrow = band_noise(np.random.default_rng(0), 8000, RATE, 450.0, 550.0)
    a, b = np.fft.rfft(wide)[225:275], np.fft.rfft(narrow)[225:275]
    assert np.allclose(a / a[0], b / b[0])
    with pytest.raises(InputError):
        band_noise(np.random.default_rng(0), 100, RATE, 10.0, 20.0)


def test_noise_is_gaussian_in_level_and_shape() -> None:
    x = np.concatenate([render(BinauralSpec(snr_db=None, ramp_s=0.0, normalise="none"), s, RATE)[0] for s in range(8)])
    assert db(x) == pytest.approx(-25.0, abs=0.05)
    z = x / x.std()
    assert np.mean(z**4) == pytest.approx(3.0, abs=0.05)
    assert np.mean(z**3) == pytest.approx(0.0, abs=0.03)


@pytest.mark.parametrize("snr", [-20.0, 0.0, 8.0])
def test_snr_is_what_it_says(snr: float) -> None:
    spec = BinauralSpec(snr_db=snr, ramp_s=0.0, normalise="none")
    tone = render(spec, 1, RATE) - render(spec.noise_alone(), 1, RATE)
    assert db(tone) == pytest.approx(-25.0 + snr, abs=1e-6)


def test_target_configurations() -> None:
    spec = replace(SHORT, snr_db=0.0, normalise="none")
    noise = render(spec.noise_alone(), 5, RATE)

    def tone(name: str) -> np.ndarray:
        return render(spec.with_condition(name), 5, RATE) - noise

    left = tone("N0S0")[0]
    assert np.allclose(tone("N0Spi"), [left, -left])
    assert np.allclose(tone("N0Sm"), [left, 0 * left])
    assert np.allclose(tone("N0S_ild=6.0206dB"), [left, left / 2], atol=1e-6)
    assert np.allclose(tone("N0S_tau=1000us"), tone("N0Spi"), atol=1e-12), "half a period of 500 Hz"
    assert np.allclose(tone("N0S_phi=180deg"), tone("N0Spi"), atol=1e-12)
    lag = tone("N0S_tau=500us")
    assert np.allclose(lag[1, 1000 + 8 : 3000 + 8], left[1000:3000], atol=1e-9), "the right ear is 8 samples late"


def test_masker_configurations() -> None:
    def noise(name: str) -> np.ndarray:
        return render(BinauralSpec(snr_db=None).with_condition(name), 5, RATE)

    left = noise("N0")[0]
    assert np.array_equal(noise("Npi"), [left, -left])
    assert np.array_equal(noise("Nm"), [left, 0 * left])
    for name, rho in (("Nu", 0.0), ("N_rho=0.9", 0.9), ("N_rho=-0.5", -0.5)):
        x = noise(name)
        assert np.array_equal(x[0], left)
        assert np.corrcoef(x)[0, 1] == pytest.approx(rho, abs=0.04)


def test_an_interaural_floor_makes_diotic_noise_slightly_different() -> None:
    spec = BinauralSpec(snr_db=None, interaural_floor_db=-40.0, normalise="none")
    x = render(spec, 0, RATE)
    assert db(x[0] - x[1]) - db(x[0]) == pytest.approx(-37.0, abs=0.3)
    three = triplet(replace(spec, snr_db=-10.0), 0, RATE)
    assert np.array_equal(three["s0"][0], three["spi"][0]), "the floor is shared by the conditions"


def test_normalisations() -> None:
    def three(how: str) -> dict[str, np.ndarray]:
        return triplet(BinauralSpec(snr_db=0.0, ramp_s=0.0, normalise=how), 2, RATE)

    joint = three("joint_n0")
    assert db(joint["n0"]) == pytest.approx(-25.0, abs=1e-9)
    assert db(joint["spi"]) > -23.0, "the gain of the noise is used for the mixture"
    unit = three("channel_unit_variance")
    assert all(np.allclose(x.std(axis=1), 1.0) and np.allclose(x.mean(axis=1), 0.0) for x in unit.values())
    assert all(db(x) == pytest.approx(-25.0) for x in three("joint_rms").values())
    assert all(db(x.mean(axis=0)) == pytest.approx(-25.0) for x in three("mono_rms").values())
    with pytest.raises(InputError, match="silent"):
        render(BinauralSpec(normalise="channel_unit_variance").with_condition("NmSm"), 0, RATE)
    with pytest.raises(InputError, match="silent"):
        render(BinauralSpec(normalise="mono_rms").with_condition("NpiSpi"), 0, RATE)


def test_two_intervals_have_independent_noises_roves_and_no_leak_of_the_gain() -> None:
    spec = replace(BinauralSpec(snr_db=-60.0, level_rove_db=3.0))
    pair = intervals(spec, 4, RATE)
    assert abs(np.corrcoef(pair["signal"][0], pair["noise"][0])[0, 1]) < 0.05
    levels = [db(x) for x in pair.values()]
    assert abs(levels[0] - levels[1]) > 1e-3
    assert all(abs(v + 25.0) < 3.3 for v in levels)
    quiet = intervals(replace(spec, level_rove_db=0.0, ramp_s=0.0), 4, RATE)
    assert db(quiet["noise"]) == pytest.approx(-25.0, abs=1e-9)
    assert db(quiet["signal"]) != pytest.approx(-25.0, abs=1e-4), "its own noise must not set its gain"
    assert tone_phase(spec, 4, "signal") != tone_phase(spec, 4)


def test_the_tone_phase_is_stored_and_can_be_fixed() -> None:
    spec = replace(SHORT, snr_db=0.0, ramp_s=0.0, normalise="none")
    tone = render(spec, 9, RATE)[0] - render(spec.noise_alone(), 9, RATE)[0]
    assert tone[0] == pytest.approx(np.sqrt(2) * 10 ** (-25 / 20) * np.sin(tone_phase(spec, 9)))
    assert tone_phase(replace(spec, tone_phase=1.5), 9) == 1.5
    phases = [tone_phase(spec, s) for s in range(200)]
    assert abs(np.mean(np.exp(1j * np.array(phases)))) < 0.2


def test_nothing_is_clipped() -> None:
    loud = BinauralSpec(level_dbfs=-6.0)
    with pytest.raises(InputError, match="full scale"):
        render(replace(loud, snr_db=10.0), 0, RATE)
    render(BinauralSpec(snr_db=10.0), 0, RATE)


@pytest.mark.parametrize(
    ("fields", "rate"), [({}, 12000), ({"duration_s": 0.10003}, 16000), ({"duration_s": 1e-6}, 16000)]
)
def test_what_cannot_be_rendered(fields: dict, rate: int) -> None:
    spec = replace(BinauralSpec(ramp_s=0.0), **fields)
    with pytest.raises(InputError):
        render(spec, 0, rate)
    with pytest.raises(InputError):
        triplet(BinauralSpec(snr_db=None), 0, 16000)


def test_speech_triplet_levels_polarity_and_errors() -> None:
    rng = np.random.default_rng(0)
    speech, noise = rng.standard_normal(4000) * 0.02, rng.standard_normal(4000) * 0.05
    three = speech_triplet(speech, noise, -5.0)
    target = three["s0"] - three["n0"]
    assert np.array_equal(three["s0"][0], three["s0"][1])
    assert np.allclose(three["spi"] - three["n0"], target * [[1], [-1]])
    assert db(target[0]) - db(noise) == pytest.approx(-5.0, abs=1e-9)
    room = in_room(speech, np.stack([np.eye(1, 30)[0], 0.5 * np.eye(1, 30, 12)[0]]))
    assert np.allclose(room[1, 12:], 0.5 * speech[:-12])
    heard = speech_triplet(room, noise, 0.0)
    assert not np.array_equal(heard["s0"][0], heard["s0"][1])
    assert np.allclose((heard["s0"] + heard["spi"])[1], 2 * noise)
    for bad in (
        lambda: speech_triplet(speech[:-1], noise, 0.0),
        lambda: speech_triplet(0 * speech, noise, 0.0),
        lambda: speech_triplet(speech, noise, float("nan")),
        lambda: speech_triplet(speech, noise, 60.0),
        lambda: speech_triplet(speech.reshape(4, -1), noise, 0.0),
        lambda: speech_triplet(speech * np.nan, noise, 0.0),
        lambda: in_room(room, room),
    ):
        with pytest.raises(InputError):
            bad()
