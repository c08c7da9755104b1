"""The description of a stimulus: names, JSON, levels, and what it refuses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otoscope.audio.binaural import BinauralSpec, child, condition
from otoscope.audio.binaural_presets import CHEN2026, DEFAULT, FREQUENCIES_HZ
from otoscope.core.errors import InputError, UsageError

NAMES = (
    "N0S0", "N0Spi", "N0Sm", "NpiS0", "NpiSpi", "NuSpi", "NuS0", "NmSm", "N0S_tau=500us", "N0S_phi=90deg",
    "N0S_ild=10dB", "N_rho=0.9 Spi", "N_rho=-0.25 S_tau=-125us",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_condition_name_and_json_come_back(name: str) -> None:
    spec = BinauralSpec().with_condition(name)
    assert spec.condition == name
    assert BinauralSpec.from_json(spec.to_json()) == spec
    assert BinauralSpec().with_condition("N0S_tau=200us").with_condition(name) == spec


def test_what_the_names_mean() -> None:
    spec = BinauralSpec().with_condition("N_rho=0.9 S_ild=10dB")
    assert (spec.masker, spec.rho, spec.target, spec.ild_db) == ("Nrho", 0.9, "Sild", 10.0)
    assert BinauralSpec().with_condition("N0").snr_db is None
    assert BinauralSpec(snr_db=None, masker="Npi").condition == "Npi"
    assert condition("N0Spi") == condition("N0 Spi")


@pytest.mark.parametrize("name", ["", "S0", "NxS0", "N0S_tau=us", "N0S_tau=--1us", "N0S_tau=5", "N_rho=2 S0"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises((UsageError, InputError)):
        BinauralSpec().with_condition(name)


@given(
    st.floats(60.0, 7000.0),
    st.one_of(st.none(), st.floats(-60.0, 40.0)),
    st.sampled_from(["broadband", "erb", "e_over_n0"]),
    st.sampled_from(["none", "joint_n0", "channel_unit_variance", "joint_rms", "mono_rms"]),
    st.one_of(st.none(), st.floats(-80.0, -10.0)),
    st.one_of(st.just("random"), st.floats(0.0, 6.0)),
    st.integers(1, 4),
)
@settings(max_examples=40, deadline=None)
def test_json_round_trip(frequency, snr, definition, normalise, floor, phase, duration) -> None:
    spec = BinauralSpec(
        frequency_hz=frequency, snr_db=snr, snr_definition=definition, normalise=normalise,
        interaural_floor_db=floor, tone_phase=phase, duration_s=duration,
    )  # fmt: skip
    assert BinauralSpec.from_json(spec.to_json()) == spec
    if snr is not None:
        assert spec.snr_as(definition) == pytest.approx(snr, abs=1e-9)


def test_integers_and_floats_are_one_description() -> None:
    assert BinauralSpec(frequency_hz=500, snr_db=-14, duration_s=2).to_json() == BinauralSpec().to_json()


@pytest.mark.parametrize(
    ("frequency", "above"), [(125, 23.2), (250, 21.9), (500, 20.1), (1000, 17.8), (2000, 15.2), (4000, 12.4)]
)
def test_snr_in_an_erb_against_an_8_khz_band(frequency: float, above: float) -> None:
    spec = BinauralSpec(frequency_hz=frequency, snr_db=0.0, low_hz=0.0, high_hz=8000.0)
    assert spec.snr_as("erb") == pytest.approx(above, abs=0.05)
    assert replace(spec, snr_db=above, snr_definition="erb").broadband_snr_db == pytest.approx(0.0, abs=0.05)


def test_snr_as_energy_over_noise_density() -> None:
    spec = BinauralSpec(snr_db=0.0, low_hz=0.0, high_hz=8000.0, duration_s=0.5, ramp_s=0.0)
    assert spec.snr_as("e_over_n0") == pytest.approx(10 * np.log10(8000 * 0.5))
    narrow = BinauralSpec(snr_db=3.0).narrowband(10.0)
    assert narrow.snr_as("erb") == pytest.approx(3.0), "a band narrower than an ERB lies in it whole"


def test_narrowband_is_one_erb_by_default() -> None:
    spec = BinauralSpec(frequency_hz=500).narrowband()
    assert spec.high_hz - spec.low_hz == pytest.approx(24.7 * (4.37 * 0.5 + 1))
    assert spec.narrowband(100.0).band_name == "450-550 Hz"


@pytest.mark.parametrize(
    "fields",
    [
        {"snr_db": float("nan")}, {"snr_db": float("inf")}, {"frequency_hz": 30.0}, {"frequency_hz": 7500.0},
        {"duration_s": 0.0}, {"duration_s": -1.0}, {"ramp_s": 1.5}, {"ramp_s": -0.1}, {"low_hz": 8000.0},
        {"masker": "Nrho", "rho": 1.5}, {"level_rove_db": -1.0}, {"frequency_hz": 0.0, "low_hz": 0.0},
    ],
)  # fmt: skip
def test_impossible_values_are_input_errors(fields: dict) -> None:
    with pytest.raises(InputError):
        BinauralSpec(**fields)


@pytest.mark.parametrize(
    "fields",
    [
        {"masker": "N1"}, {"target": "S1"}, {"snr_definition": "peak"}, {"normalise": "peak"}, {"tone_phase": "sine"},
        {"itd_us": 100.0}, {"target": "S0", "ild_db": 3.0}, {"rho": 0.5}, {"phase_deg": 90.0},
    ],
)  # fmt: skip
def test_contradictions_and_unknown_names_are_usage_errors(fields: dict) -> None:
    with pytest.raises(UsageError):
        BinauralSpec(**fields)
    with pytest.raises(UsageError, match="colour"):
        BinauralSpec.from_json('{"colour": 1}')


def test_children_of_a_seed_are_independent_and_repeatable() -> None:
    a = child(3, "noise", 500.0).standard_normal(4)
    assert np.array_equal(a, child(3, "noise", 500.0).standard_normal(4))
    for other in (child(3, "noise", 250.0), child(3, "phase", 500.0), child(4, "noise", 500.0)):
        assert not np.array_equal(a, other.standard_normal(4))
    with pytest.raises(InputError):
        child(-1, "noise")


def test_grids() -> None:
    assert len(list(CHEN2026.specs())) == 6 * 21
    assert (CHEN2026.snrs_db[0], CHEN2026.snrs_db[-1], CHEN2026.n_seeds, CHEN2026.rate) == (-30.0, 10.0, 100, 16000)
    assert {s.normalise for s in CHEN2026.specs()} == {"channel_unit_variance"}
    assert {s.frequency_hz for s in DEFAULT.specs()} == set(FREQUENCIES_HZ)
    assert (DEFAULT.spec.low_hz, DEFAULT.spec.high_hz, DEFAULT.spec.level_dbfs) == (50.0, 7500.0, -25.0)
