"""The verdict rule on curves made by hand: each outcome, and what tips it."""

import pytest

from otoscope.results.scoring import Score
from otoscope.tasks.bmld.verdict import null_band, verdicts


def curve(model, condition, values, half=0.2, frequency=500):
    """values: {snr: mean or None}."""
    return [
        Score(
            "bmld",
            condition,
            model,
            "none",
            "delta_bmld_db",
            {"frequency_hz": frequency, "snr_db": snr},
            v,
            None if v is None else v - half,
            None if v is None else v + half,
            note=None if v is not None else "not detected",
        )
        for snr, v in values.items()
    ]


BLIND = [
    *curve("logmel-ild", "intact", {-22: 6.0, -14: 0.6, -6: 0.1}),
    *curve("logmel-ild", "phase-only", {-22: 2.1, -14: 0.0, -6: 0.0}),
]


def judge(*scores, model="m"):
    return next(e for e in verdicts([*BLIND, *scores]) if e.model == model)


def test_phase():
    e = judge(
        *curve("m", "intact", {-22: 16.3, -14: 10.4, -6: 6.2}),
        *curve("m", "phase-only", {-22: 16.0, -14: 10.8, -6: 6.4}),
        *curve("m", "magnitude-only", {-22: 0.4, -14: 0.1, -6: 0.0}),
    )
    assert e.verdict == "phase"
    assert e.phase_only_db == pytest.approx(16.0)
    assert e.at == (500.0, -22.0)


def test_magnitude_texture():
    e = judge(
        *curve("m", "intact", {-22: 6.0, -14: 2.0, -6: 0.1}),
        *curve("m", "phase-only", {-22: 1.9, -14: 0.0, -6: 0.0}),
        *curve("m", "magnitude-only", {-22: 5.8, -14: 1.9, -6: 0.0}),
    )
    assert e.verdict == "magnitude texture"


def test_the_phase_blind_front_end_itself_is_texture():
    assert judge(model="logmel-ild").verdict == "magnitude texture"


def test_without_hybrids_a_large_effect_stays_unresolved_and_one_under_the_envelope_is_texture():
    assert judge(*curve("m", "intact", {-14: 9.0, -6: 5.0})).verdict == "unresolved"
    assert judge(*curve("m", "intact", {-22: 5.0, -14: 0.5})).verdict == "magnitude texture"


def test_none_inside_the_margin():
    e = judge(*curve("m", "intact", {-22: 0.1, -14: 0.0, -6: -0.1}))
    assert e.verdict == "none"
    assert "+/- 1 dB" in e.reason


def test_none_inside_the_null_band_of_its_twins():
    twins = [
        s for k in (1, 2, 3) for s in curve(f"m:init=random,seed={k}", "intact", {-22: 2.2, -14: 1.0 + k / 2, -6: 1.9})
    ]
    e = judge(*curve("m", "intact", {-22: 1.5, -14: 1.6, -6: 1.4}, half=0.3), *twins)
    assert e.n_twins == 3
    assert e.verdict == "none"
    assert "twins" in e.reason


def test_wide_intervals_are_not_called():
    assert judge(*curve("m", "intact", {-22: 0.5, -14: 0.0}, half=3.0)).verdict == "unresolved"


def test_undefined_when_every_gate_is_closed():
    e = judge(*curve("m", "intact", {-22: None, -14: None}))
    assert e.verdict == "undefined"
    assert "not detected" in e.reason


def test_effects_above_one_kilohertz_are_no_evidence():
    e = judge(*curve("m", "intact", {-22: 9.0, -14: 9.0}, frequency=4000))
    assert e.verdict == "undefined"


def test_reversal_is_an_effect():
    e = judge(
        *curve("m", "intact", {-22: -3.0, -14: -2.0}),
        *curve("m", "phase-only", {-22: 0.0, -14: 0.0}),
    )
    assert e.verdict == "magnitude texture"
    assert "reversal" in e.reason


def test_an_effect_that_independent_noises_show_too_is_not_binaural():
    e = judge(
        *curve("m", "intact", {-22: 3.3, -14: 3.3}),
        *curve("m", "phase-only", {-22: 3.0, -14: 3.0}),
        *curve("m", "nu-masker", {-22: 3.7, -14: 3.6}),
    )
    assert e.verdict == "none"
    assert "independent noises" in e.reason


def test_the_null_band_needs_the_same_architecture():
    scores = {
        ("m:init=random,seed=1", "intact"): {},
        ("other:init=random,seed=1", "intact"): {},
    }
    assert null_band("m", ["m", "m:init=random,seed=1", "other:init=random,seed=1"], scores) == (None, 1)
