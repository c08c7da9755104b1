"""Ratios and intelligibility on signals whose answer is known, or that another implementation computes."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st

from otoscope.audio.signals import tone
from otoscope.audio.speech import bundled_speech, load_speech
from otoscope.tasks.separation.intelligibility import pesq, stoi
from otoscope.tasks.separation.levels import BSS_TAPS, Undefined, bss_eval_db, si_sdr_db, si_snr_db

RATE = 16000


def noise(seed: int, n: int = RATE):
    return np.random.default_rng(seed).standard_normal(n)


def speech():
    clip = next(c for c in bundled_speech() if c.labels["kind"] == "sentence")
    return load_speech(clip).samples[0].astype(np.float64)


def orthogonal(s, seed: int = 1):
    """Noise that is orthogonal to ``s`` and as strong."""
    n = noise(seed, len(s))
    n -= s * (n @ s) / (s @ s)
    return n * np.linalg.norm(s) / np.linalg.norm(n)


@settings(max_examples=50, deadline=None)
@given(level=st.floats(-60, 60), scale=st.floats(1e-3, 1e3), sign=st.sampled_from((-1, 1)), seed=st.integers(0, 99))
def test_si_sdr_of_target_and_orthogonal_noise(level, scale, sign, seed) -> None:
    s = noise(seed)
    estimate = s + orthogonal(s, seed + 1) * 10 ** (-level / 20)
    assert si_sdr_db(estimate, s) == pytest.approx(level, abs=1e-6)
    assert si_sdr_db(sign * scale * estimate, s) == pytest.approx(level, abs=1e-6)  # scale invariance
    assert si_sdr_db(estimate, scale * s) == pytest.approx(level, abs=1e-6)


def test_si_snr_is_blind_to_a_constant() -> None:
    s = tone(500.0, 1.0, RATE)
    estimate = s + 0.1 * tone(1500.0, 1.0, RATE)
    assert si_snr_db(estimate + 7.0, s) == pytest.approx(20.0, abs=1e-6)
    assert si_sdr_db(estimate + 7.0, s) < -15


def test_what_has_no_ratio_says_why() -> None:
    s = noise(0)
    for estimate, reference, why in (
        (3.0 * s, s, "equal up to scale"),
        (0.0 * s, s, "the output is silent"),
        (s, 0.0 * s, "the reference is silent"),
        (np.eye(2)[0], np.eye(2)[1], "holds nothing of the reference"),
    ):
        with pytest.raises(Undefined, match=why):
            si_sdr_db(estimate, reference)
    with pytest.raises(Undefined, match="the rest of the mixture is silent"):
        bss_eval_db(s, s, 0.0 * s)
    with pytest.raises(Undefined, match="too few"):
        bss_eval_db(s[:500], s[:500], s[500:1000])


def _projection(x, references):
    """``x`` [n] (padded) on all shifts by 0..511 samples of ``references``: dense least squares."""
    columns = [
        scipy.linalg.toeplitz(np.concatenate([r, np.zeros(BSS_TAPS - 1)]), np.zeros(BSS_TAPS)) for r in references
    ]
    a = np.concatenate(columns, axis=1)
    return a @ scipy.linalg.lstsq(a, x, lapack_driver="gelsy")[0]


def test_bss_eval_is_the_decomposition_of_its_paper() -> None:
    s, rest, art = noise(0, 2500), noise(1, 2500), noise(2, 2500)
    estimate = s + 0.5 * np.roll(rest, 3) + 0.1 * art
    padded = np.concatenate([estimate, np.zeros(BSS_TAPS - 1)])
    target = _projection(padded, [s])
    both = _projection(padded, [s, rest])

    def ratio(a, b):
        return 10 * np.log10((a @ a) / (b @ b))

    want = {
        "sdr_db": ratio(target, padded - target),
        "sir_db": ratio(target, both - target),
        "sar_db": ratio(both, padded - both),
    }
    assert bss_eval_db(estimate, s, rest) == pytest.approx(want, abs=1e-4)


def test_bss_eval_forgives_filters_and_tells_leaks_from_artefacts() -> None:
    s, rest = noise(0, 3 * RATE), noise(1, 3 * RATE)
    leaking = bss_eval_db(np.convolve(s, [1.0, 0.0, -0.4])[: len(s)] + 0.1 * rest, s, rest)
    assert leaking["sir_db"] == pytest.approx(20.0 + 10 * np.log10(1.16), abs=0.5)
    assert leaking["sar_db"] > 30.0
    noisy = bss_eval_db(s + 0.1 * noise(2, len(s)), s, rest)
    assert noisy["sar_db"] == pytest.approx(20.0, abs=0.5)
    assert noisy["sir_db"] > 30.0


def test_equal_references_are_no_bss_problem() -> None:
    s = np.zeros(4000)
    s[0] = 1.0
    with pytest.raises(Undefined, match=r"singular|infinite"):
        bss_eval_db(s + 0.1 * noise(0, 4000), s, s)


def test_stoi_falls_with_noise_and_needs_sound() -> None:
    s = speech()
    values = [stoi(s + k * orthogonal(s), s, RATE) for k in (0.0, 0.3, 1.0, 3.0)]
    assert values[0] == pytest.approx(1.0, abs=1e-6)
    assert values == sorted(values, reverse=True)
    assert values[-1] < 0.7
    for short in (s[8000:11000], np.concatenate([s[8000:10000], np.zeros(RATE)])):
        with pytest.raises(Undefined, match=r"less than 0\.4 s"):
            stoi(short + 0.1 * noise(0, len(short)), short, RATE)
    with pytest.raises(Undefined, match="silent"):
        stoi(0 * s, s, RATE)


def test_pesq_of_speech() -> None:
    pytest.importorskip("pesq", reason="the optional extra pesq is not installed")
    s = speech()
    assert pesq(s, s, RATE) == pytest.approx(4.64, abs=0.01)  # the top of P.862.2's scale
    assert 1.0 < pesq(s + 0.3 * orthogonal(s), s, RATE) < 2.5
    with pytest.raises(Undefined, match="needs 16000 Hz"):
        pesq(s, s, 8000)
    with pytest.raises(Undefined, match="PESQ: "):
        pesq(s[:2000], s[:2000], RATE)


def test_without_pesq_the_reason_is_given(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "pesq", None)
    with pytest.raises(Undefined, match=r"otoscope\[pesq\]"):
        pesq(speech(), speech(), RATE)
