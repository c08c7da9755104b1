"""Short-time spectra come back as the signal."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otoscope.audio.stft import Stft, spectra
from otoscope.core.errors import InputError


@given(st.integers(1, 3000), st.integers(5, 200), st.integers(3, 6), st.integers(0, 100))
@settings(max_examples=30, deadline=None)
def test_unchanged_spectra_resynthesise(n: int, hop: int, overlap: int, seed: int) -> None:
    x = np.random.default_rng(seed).standard_normal((2, n))
    stft = Stft(hop, overlap)
    assert np.allclose(stft.inverse(stft.forward(x), n), x, atol=1e-10)


@pytest.mark.parametrize("rate", [16000, 32000, 44100, 48000])
def test_the_window_has_its_length_in_seconds(rate: int) -> None:
    stft = Stft.at(rate, 0.032)
    assert stft.n_fft / rate == pytest.approx(0.032, rel=0.01)
    assert stft.bins_hz(rate)[-1] <= rate / 2


def test_equal_ears_have_equal_spectra_to_the_bit() -> None:
    x = np.random.default_rng(0).standard_normal(16001)
    both = np.stack([x, x])
    for found in (spectra(both, 512, 160), Stft(128).forward(both)):
        assert np.array_equal(found[0], found[1])


def test_a_tone_lands_in_its_bin() -> None:
    x = np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000)
    power = np.abs(spectra(x, 512, 160)).mean(axis=0)
    assert int(np.argmax(power)) == 32
    assert spectra(x, 512, 160).shape == (97, 257)


def test_too_short_and_impossible() -> None:
    with pytest.raises(InputError, match="shorter"):
        spectra(np.zeros((2, 511)), 512, 160)
    with pytest.raises(InputError):
        Stft(100, 2)
