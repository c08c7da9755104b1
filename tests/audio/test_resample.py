"""Resampling: the length rule, diotic input, and what passes the filter."""

from __future__ import annotations

import numpy as np
import pytest

from otoscope.audio.resample import length_after, resample
from otoscope.audio.signals import tone
from otoscope.core.audio import Audio
from otoscope.core.errors import UsageError

PAIRS = [(44_100, 16_000), (16_000, 44_100), (48_000, 8_000), (22_050, 16_000), (16_000, 11_025)]


@pytest.mark.parametrize(("old", "new"), PAIRS)
def test_length_is_the_rounded_product_and_diotic_stays_diotic(old: int, new: int) -> None:
    rng = np.random.default_rng(0)
    for n in (1, 2, 7, 999, 16_001):
        x = rng.standard_normal((1, n)).astype(np.float32).repeat(2, axis=0)
        y = resample(Audio(x, old), new)
        assert (y.rate, y.n) == (new, length_after(n, old, new))
        assert abs(y.n * old / new - n) <= max(0.5 * old / new, old / new - n)
        assert np.array_equal(y.samples[0], y.samples[1])


def test_channels_do_not_touch_each_other() -> None:
    rng = np.random.default_rng(1)
    x = rng.standard_normal((2, 5000)).astype(np.float32)
    both = resample(Audio(x, 44_100), 16_000).samples
    for k in (0, 1):
        assert np.array_equal(resample(Audio(x[k : k + 1], 44_100), 16_000).samples[0], both[k])


def test_equal_rates_give_the_same_object() -> None:
    audio = Audio(np.ones((1, 8), dtype=np.float32), 16_000)
    assert resample(audio, 16_000) is audio


def test_a_tone_keeps_frequency_phase_and_level_and_aliases_are_gone() -> None:
    low, high = (tone(f, 1.0, 44_100)[None].astype(np.float32) for f in (1000.0, 12_000.0))
    y = resample(Audio(low, 44_100), 16_000).samples[0]
    expected = tone(1000.0, 1.0, 16_000)
    assert np.abs(y - expected)[800:-800].max() < 1e-4
    assert np.abs(resample(Audio(high, 44_100), 16_000).samples[0][800:-800]).max() < 1e-4


@pytest.mark.parametrize("rate", [0, -8000, 16_000.0, True])
def test_bad_rates_are_refused(rate: object) -> None:
    with pytest.raises(UsageError, match="sample rate"):
        resample(Audio(np.ones((1, 8), dtype=np.float32), 16_000), rate)  # type: ignore[arg-type]
