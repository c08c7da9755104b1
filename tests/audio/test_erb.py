"""Frequency scales."""

from __future__ import annotations

import numpy as np
import pytest

from otoscope.audio.erb import (
    erb_centres,
    erb_hz,
    erb_number,
    erb_number_to_hz,
    mel,
    mel_filterbank,
    mel_to_hz,
)  # fmt: skip
from otoscope.core.errors import InputError


def test_erb_of_glasberg_and_moore() -> None:
    assert erb_hz(1000.0) == pytest.approx(132.6, abs=0.1)
    assert float(erb_number(1000.0)) == pytest.approx(15.6, abs=0.1)
    # The number of ERBs is the integral of one over the bandwidth; the published constant 21.4 is rounded from 21.33.
    f = np.linspace(100.0, 8000.0, 20001)
    count = np.trapezoid(1.0 / np.array([erb_hz(v) for v in f]), f)
    assert float(erb_number(8000.0) - erb_number(100.0)) == pytest.approx(count, rel=4e-3)


def test_scales_invert() -> None:
    f = np.geomspace(20.0, 20000.0, 50)
    assert np.allclose(erb_number_to_hz(erb_number(f)), f)
    assert np.allclose(mel_to_hz(mel(f)), f)


def test_centres_are_one_erb_apart() -> None:
    centres = erb_centres(50.0, 8000.0)
    assert centres[0] == pytest.approx(50.0)
    assert centres[-1] <= 8000.0
    assert np.allclose(np.diff(erb_number(centres)), 1.0)
    assert len(erb_centres(50.0, 8000.0, 2.0)) in (2 * len(centres) - 1, 2 * len(centres))
    with pytest.raises(InputError):
        erb_centres(100.0, 100.0)


def test_mel_filters_are_triangles_of_height_one_that_add_up() -> None:
    weights = mel_filterbank(40, 1024, 16000, 0.0, 8000.0)
    assert weights.shape == (40, 513)
    assert weights.max() <= 1.0
    inner = slice(10, 440)  # between the first and the last centre
    assert np.allclose(weights.sum(axis=0)[inner], 1.0, atol=1e-9)
    with pytest.raises(InputError, match="no FFT bin"):
        mel_filterbank(128, 256, 16000, 50.0, 8000.0)
    with pytest.raises(InputError):
        mel_filterbank(40, 512, 16000, 0.0, 9000.0)
