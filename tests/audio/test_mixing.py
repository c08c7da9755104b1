"""Mixtures: stems that sum, levels as asked for, overlap as asked for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otoscope.audio.mixing import PEAK, Mix, fit, mix, trim
from otoscope.audio.signals import db, root_mean_square
from otoscope.core.errors import InputError, UsageError

RATE = 8000


def sounds(seed: int = 0, seconds: float = 4.0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((2, round(seconds * RATE)))


@settings(max_examples=40, deadline=None)
@given(
    snr=st.floats(-20, 20),
    overlap=st.floats(0.1, 1.0),
    first=st.booleans(),
    noise=st.one_of(st.none(), st.floats(-5, 20)),
    seed=st.integers(0, 999),
)
def test_stems_sum_and_ratios_hold(snr, overlap, first, noise, seed) -> None:
    spec = Mix(2.0, snr, overlap, first, noise_snr_db=noise)
    a, b = sounds(seed)
    white = np.random.default_rng(seed + 1).standard_normal(2 * RATE)
    out = mix(spec, a, b, RATE, white if noise is not None else None)
    assert all(x.dtype == np.float32 and x.shape == (2 * RATE,) for x in out.values())
    assert np.array_equal(out["mixture"], out["target"] + out["residual"])
    assert np.max(np.abs(out["mixture"])) <= PEAK + 1e-6
    # The other sound alone, found by the mixture without noise: its share of the residual is what the SNR speaks of.
    clean = mix(Mix(2.0, snr, overlap, first), a, b, RATE)
    start, stop = (round(RATE * t) for t in (max(spec.target_slot[0], spec.other_slot[0]), spec.target_slot[1]))
    common = slice(start, min(stop, round(RATE * spec.other_slot[1])))
    ratio = db(root_mean_square(clean["target"][common]) / root_mean_square(clean["residual"][common]))
    assert ratio == pytest.approx(snr, abs=1e-3)
    share = (common.stop - common.start) / RATE / spec.slot_s
    assert share == pytest.approx(overlap, abs=2e-3)
    if noise is not None:
        gain = root_mean_square(out["target"]) / root_mean_square(clean["target"])
        only = out["residual"] - gain * clean["residual"]
        slot = slice(*(round(RATE * t) for t in spec.target_slot))
        assert db(root_mean_square(out["target"][slot]) / root_mean_square(only)) == pytest.approx(noise, abs=1e-2)


def test_slots_cover_the_mixture_and_are_silent_elsewhere() -> None:
    for first in (True, False):
        spec = Mix(3.0, 0.0, 0.5, first)
        assert spec.slot_s == pytest.approx(2.0)
        assert sorted((spec.target_slot, spec.other_slot)) == [(0.0, 2.0), (1.0, 3.0)]
        assert (spec.target_slot[0] == 0.0) is first
        out = mix(spec, *sounds(), RATE)
        on = slice(*(round(RATE * t) for t in spec.target_slot))
        assert np.any(out["target"][on])
        assert not np.any(np.delete(out["target"], np.arange(on.start, on.stop)))
    apart = Mix(3.0, 6.0, 0.0)
    out = mix(apart, *sounds(), RATE)
    assert not np.any(out["target"] * out["residual"])
    assert db(root_mean_square(out["target"]) / root_mean_square(out["residual"])) == pytest.approx(6.0, abs=1e-3)


def test_the_level_is_that_of_the_mixture_unless_it_would_clip() -> None:
    out = mix(Mix(level_dbfs=-30.0), *sounds(), RATE)
    assert db(root_mean_square(out["mixture"])) == pytest.approx(-30.0, abs=1e-3)
    clicks = np.zeros((2, 4 * RATE))
    clicks[:, 1000::9000] = 1.0
    out = mix(Mix(level_dbfs=-20.0), *clicks, RATE)
    assert np.max(np.abs(out["mixture"])) == pytest.approx(PEAK, abs=1e-6)
    assert db(root_mean_square(out["mixture"])) < -20.0


def test_fit_trims_cuts_and_repeats() -> None:
    x = np.array([0.0, 0.0, 1.0, 0.5, -1.0, 0.001, 0.0])
    assert trim(x).tolist() == [1.0, 0.5, -1.0]
    assert fit(x, 2).tolist() == [1.0, 0.5]
    assert fit(x, 5).tolist() == [1.0, 0.5, -1.0, 1.0, 0.5]
    for nothing in (np.zeros(5), np.empty(0)):
        with pytest.raises(InputError, match="silent"):
            fit(nothing, 5)


def test_what_cannot_be_mixed_says_why() -> None:
    for wrong in ({"overlap": 1.1}, {"duration_s": 0.1}, {"snr_db": float("nan")}, {"noise_snr_db": 100.0}):
        with pytest.raises(UsageError, match=next(iter(wrong)).split("_")[0].replace("duration", "lasts")):
            Mix(**wrong)
    a, b = sounds()
    with pytest.raises(InputError, match="the target is silent"):
        mix(Mix(), 0 * a, b, RATE)
    with pytest.raises(InputError, match="noise of 32000 samples"):
        mix(Mix(noise_snr_db=5.0), a, b, RATE)
    late = np.concatenate([[0.5], np.zeros(RATE), b[:RATE]])  # a click, then nothing until after the common stretch
    with pytest.raises(InputError, match="the other sound is silent where its level is taken"):
        mix(Mix(4.0, 0.0, 0.2), a, late, RATE)
