"""Each rung leaves unchanged what it must, changes what it must, and is the same for all conditions of a seed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st

from otoscope.audio.binaural import BinauralSpec
from otoscope.audio.erb import mel_filterbank
from otoscope.audio.gammatone import analytic_band
from otoscope.audio.stft import Stft
from otoscope.audio.stimuli import render, triplet
from otoscope.audio.transforms.bands import bank, through_bands
from otoscope.audio.transforms.base import Chain, Intact
from otoscope.audio.transforms.ears import Downmix, FlipPolarity, LeftEar, SwapEars
from otoscope.audio.transforms.equalise import EqualiseEnergy
from otoscope.audio.transforms.highpass import HighPass
from otoscope.audio.transforms.hybrids import Hybrid, RandomPhase, residue
from otoscope.audio.transforms.levels import LevelOffset, LevelRove
from otoscope.audio.transforms.rewrites import Rewrite
from otoscope.audio.transforms.vocoder import FlattenEnvelope, Vocoder
from otoscope.core.errors import InputError, UsageError

RATE = 16000
SPEC = BinauralSpec(duration_s=0.5, snr_db=-10.0)


@pytest.fixture(scope="module")
def three() -> dict[str, np.ndarray]:
    return triplet(SPEC, 3, RATE)


def rms(x: np.ndarray) -> np.ndarray:
    return np.sqrt(np.mean(np.square(x), axis=-1))


def power_above(x: np.ndarray, hz: float, rate: int = RATE) -> np.ndarray:
    spectrum = np.abs(np.fft.rfft(x, axis=-1)) ** 2
    return spectrum[..., int(hz * x.shape[-1] / rate) :]


# --- L0-L3 ----------------------------------------------------------------------------------------------------------


def test_ears(three) -> None:
    left = LeftEar().apply(three, RATE, 0)
    assert np.array_equal(left["s0"], left["spi"])
    assert np.array_equal(left["spi"][0], three["spi"][0])
    mixed = Downmix().apply(three, RATE, 0)
    assert np.allclose(mixed["spi"], mixed["n0"], atol=1e-15), "the tone cancels"
    assert np.array_equal(mixed["s0"], three["s0"])
    swapped = SwapEars().apply(three, RATE, 0)
    assert np.array_equal(swapped["spi"], three["spi"][::-1])
    for step in (SwapEars(), FlipPolarity()):
        again = Chain((step, step)).apply(three, RATE, 0)
        assert all(np.array_equal(again[k], three[k]) for k in three)


# --- L4 -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [4, 12])
@pytest.mark.parametrize("phase", ["zero", "minimum"])
def test_high_pass_keeps_what_is_above_and_drops_what_is_below(three, order: int, phase: str) -> None:
    out = HighPass(order=order, phase=phase).apply(three, RATE, 0)
    before, after = (power_above(x["n0"][0], 4000.0) for x in (three, out))
    assert after.sum() == pytest.approx(before.sum(), rel=0.01)
    at_500 = [np.abs(analytic_band(x["n0"][0] * np.hanning(8000), RATE, 500.0)) for x in (out, three)]
    lost = 20 * np.log10(rms(at_500[0]) / rms(at_500[1]))
    if order == 4:
        assert lost == pytest.approx(-48.0, abs=2.0), "two octaves of 24 dB"
    else:
        assert lost < -70.0, "what the skirts of the band still see from above"
    assert np.array_equal(out["n0"][0], out["n0"][1])


def test_zero_phase_is_symmetric_and_the_same_at_every_rate() -> None:
    click = np.zeros((2, 8000))
    click[:, 4000] = 1.0
    out = HighPass(order=4).apply({"n0": click}, RATE, 0)["n0"][0]
    assert np.allclose(out[4000 - 500 : 4001], out[4000:4501][::-1], atol=1e-12)
    low = HighPass().apply({"n0": render(SPEC.noise_alone(), 0, RATE)}, RATE, 0)["n0"]
    high = HighPass().apply({"n0": render(SPEC.noise_alone(), 0, 32000)}, 32000, 0)["n0"]
    assert np.allclose(high[:, ::2], low, atol=1e-6)


def test_masking_noise_is_below_the_edge_shared_and_independent_in_the_ears(three) -> None:
    plain = HighPass(order=12).apply(three, RATE, 5)
    masked = HighPass(order=12, mask_db=-30.0).apply(three, RATE, 5)
    mask = masked["n0"] - plain["n0"]
    assert all(np.allclose(masked[k] - plain[k], mask, atol=1e-12) for k in three)
    assert power_above(mask, 2000.0).sum() < 1e-12 * power_above(mask, 0.0).sum()
    assert 20 * np.log10(rms(mask).mean() / rms(three["n0"]).mean()) == pytest.approx(-30.0, abs=0.5)
    assert abs(np.corrcoef(mask)[0, 1]) < 0.1
    with pytest.raises(InputError, match="noise alone"):
        HighPass(mask_db=-30.0).apply({"spi": three["spi"]}, RATE, 0)
    with pytest.raises(InputError):
        HighPass(cutoff_hz=8000.0).apply(three, RATE, 0)
    with pytest.raises(UsageError):
        HighPass(phase="linear")  # type: ignore[arg-type]


# --- L5 -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [16000, 32000])
def test_equalisation_is_transparent_for_diotic_sounds(rate: int) -> None:
    three = triplet(SPEC, 1, rate)
    out = EqualiseEnergy().apply(three, rate, 0)
    for name in ("n0", "s0"):
        assert np.max(np.abs(out[name] - three[name])) < 1e-6
    assert np.max(np.abs(out["spi"] - three["spi"])) > 1e-3


def test_equalisation_removes_level_differences_and_keeps_energy_and_phase(three) -> None:
    out = EqualiseEnergy().apply(three, RATE, 0)["spi"]
    once = EqualiseEnergy(iterations=1).apply(three, RATE, 0)["spi"]
    before, one, four = (residue(x, RATE, 500.0) for x in (three["spi"], once, out))
    # Cells of a mel band and a frame: level differences that change faster within a cell stay.
    assert four.ild_rms_db < 0.65 * before.ild_rms_db
    assert four.ild_rms_db < one.ild_rms_db < before.ild_rms_db
    assert four.ipd_rms_rad == pytest.approx(before.ipd_rms_rad, rel=0.1)
    assert np.mean(out**2) == pytest.approx(np.mean(three["spi"] ** 2), rel=0.05)
    phase = analytic_band(out, RATE, 500.0) * analytic_band(three["spi"], RATE, 500.0).conj()
    assert np.average(np.cos(np.angle(phase)), weights=np.abs(phase)) > 0.95
    stft = Stft.at(RATE)
    mels = mel_filterbank(64, stft.n_fft, RATE, 0.0, 8000.0)
    long_term = [np.log((np.abs(stft.forward(x)) ** 2 @ mels.T).mean(axis=1)) for x in (three["spi"], out)]
    differences = [np.abs(x[0] - x[1]).max() for x in long_term]
    assert differences[1] < 0.3 * differences[0]


# --- L6 -------------------------------------------------------------------------------------------------------------


def test_levels(three) -> None:
    out = LevelOffset(3.0, -2.0).apply(three, RATE, 0)
    assert np.allclose(out["s0"], three["s0"] * 10 ** (np.array([[3.0], [-2.0]]) / 20))
    roved = LevelRove(5.0).apply(three, RATE, 11)
    gains = rms(roved["n0"]) / rms(three["n0"])
    assert all(np.allclose(roved[k], three[k] * gains[:, None]) for k in three)
    assert np.all(np.abs(20 * np.log10(gains)) <= 5.0)
    assert gains[0] != pytest.approx(gains[1])
    assert not np.allclose(LevelRove(5.0).apply(three, RATE, 12)["n0"], roved["n0"])
    with pytest.raises(InputError):
        LevelRove(-1.0)


# --- L7, L15 --------------------------------------------------------------------------------------------------------


def test_the_bank_passes_everything_between_its_ends(three) -> None:
    x = np.stack([three["n0"]])
    n = x.shape[-1]
    total = np.zeros(n // 2 + 1)
    for band in bank(n, RATE, 50.0, 8000.0):
        total[band.first : band.first + len(band.response)] += band.response**2
    hz = np.arange(n // 2 + 1) * RATE / n
    assert np.allclose(total[(hz > 55) & (hz < 6000)], 1.0)
    same = through_bands(x, RATE, 50.0, 8000.0, lambda k, band, baseband: baseband)
    inner = (hz > 100) & (hz < 7000)
    before, after = np.fft.rfft(x, axis=-1)[..., inner], np.fft.rfft(same, axis=-1)[..., inner]
    # The level match repairs what the second filter takes, so only the overall gain per bin may move a little.
    assert np.max(np.abs(np.angle(after / before))) < 1e-6
    assert np.abs(after / before) == pytest.approx(np.ones(after.shape), abs=0.35)


@pytest.mark.parametrize("carriers", ["independent", "shared"])
def test_vocoder_keeps_levels_and_slow_envelopes(carriers: str) -> None:
    rng = np.random.default_rng(0)
    t = np.arange(2 * RATE) / RATE
    speechlike = rng.standard_normal(len(t)) * (1.0 + 0.9 * np.sin(2 * np.pi * 4 * t)) * 0.05
    x = {"n0": np.stack([speechlike, 0.3 * speechlike])}
    out = Vocoder(carriers).apply(x, RATE, 0)["n0"]
    for f0 in (250.0, 1000.0, 4000.0):
        a, b = np.abs(analytic_band(x["n0"], RATE, f0)), np.abs(analytic_band(out, RATE, f0))
        assert np.allclose(20 * np.log10(rms(b) / rms(a)), 0.0, atol=1.0)
    slow = scipy.signal.butter(2, 8.0, fs=RATE, output="sos")
    a, b = (scipy.signal.sosfiltfilt(slow, np.abs(analytic_band(y[0], RATE, 2000.0))) for y in (x["n0"], out))
    assert np.corrcoef(a, b)[0, 1] > 0.9
    correlation = abs(np.corrcoef(out)[0, 1])
    assert correlation > 0.999 if carriers == "shared" else correlation < 0.1


def test_vocoder_replaces_fine_structure_and_shares_carriers(three) -> None:
    out = Vocoder().apply(three, RATE, 4)
    assert abs(np.corrcoef(out["n0"][0], three["n0"][0])[0, 1]) < 0.1
    assert np.array_equal(out["s0"][0], out["spi"][0]), "equal ears get equal carriers in every condition"
    assert not np.allclose(out["n0"], Vocoder().apply(three, RATE, 5)["n0"])
    shared = Vocoder("shared").apply(three, RATE, 4)
    assert np.array_equal(shared["n0"][0], shared["n0"][1])
    assert np.array_equal(shared["n0"][0], out["n0"][0])
    with pytest.raises(UsageError):
        Vocoder("some")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="do not fit"):
        Vocoder(high_hz=9000.0).apply(three, RATE, 0)


def test_vocoder_does_not_depend_on_the_rate() -> None:
    low, high = (Vocoder().apply({"n0": render(SPEC.noise_alone(), 0, r)}, r, 0)["n0"] for r in (16000, 32000))
    assert np.allclose(high[:, ::2], low, atol=1e-6), "all but what the ramps spread beyond 8 kHz"


def test_flat_envelopes_keep_fine_structure() -> None:
    t = np.arange(RATE) / RATE
    x = np.sin(2 * np.pi * 1000 * t) * (1.0 + 0.9 * np.sin(2 * np.pi * 8 * t)) * 0.1
    out = FlattenEnvelope().apply({"n0": np.stack([x, x])}, RATE, 0)["n0"]
    before, after = (analytic_band(y, RATE, 1000.0)[2000:-2000] for y in (x, out[0]))
    assert np.std(np.abs(after)) / np.mean(np.abs(after)) < 0.3 * np.std(np.abs(before)) / np.mean(np.abs(before))
    assert np.average(np.cos(np.angle(after * before.conj()))) > 0.95
    assert np.array_equal(out[0], out[1])


# --- L8-L10 ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keep", ["magnitude", "phase"])
def test_hybrids_change_one_ear_of_one_sound_and_keep_their_cue(three, keep: str) -> None:
    out = Hybrid(keep).apply(three, RATE, 0)
    assert np.array_equal(out["n0"], three["n0"])
    assert np.array_equal(out["s0"], three["s0"])
    assert np.array_equal(out["spi"][0], three["spi"][0])
    # In the band of the tone, where n + s and n - s differ.
    s0, spi, got = (analytic_band(x, RATE, 500.0)[500:-500] for x in (three["s0"][1], three["spi"][1], out["spi"][1]))
    error = {
        "magnitude": lambda x: np.average(np.abs(np.log(np.abs(got / x))), weights=np.abs(x)),
        "phase": lambda x: np.average(np.abs(np.angle(got * x.conj())), weights=np.abs(x)),
    }
    assert error[keep](spi) < 0.8 * error[keep](s0)
    other = "phase" if keep == "magnitude" else "magnitude"
    assert error[other](s0) < 0.8 * error[other](spi)


def test_the_residue_says_what_a_hybrid_holds() -> None:
    three = triplet(replace(SPEC, snr_db=-14.0), 8, RATE)
    intact = residue(three["spi"], RATE, 500.0)
    magnitude = residue(Hybrid("magnitude").apply(three, RATE, 0)["spi"], RATE, 500.0)
    phase = residue(Hybrid("phase").apply(three, RATE, 0)["spi"], RATE, 500.0)
    assert intact.ipd_rms_rad > 1.0
    assert magnitude.ipd_rms_rad < 0.2 * intact.ipd_rms_rad
    assert phase.ipd_rms_rad == pytest.approx(intact.ipd_rms_rad, rel=0.2)
    assert 0.5 < phase.ild_rms_db < intact.ild_rms_db, "the other cue comes back: this is why it is measured"
    diotic = residue(three["s0"], RATE, 500.0)
    assert (diotic.ild_rms_db, diotic.ipd_rms_rad) == pytest.approx((0.0, 0.0), abs=1e-12)
    half = residue(three["s0"] * np.array([[1.0], [0.5]]), RATE, 500.0)
    assert half.ild_rms_db == pytest.approx(6.02, abs=0.01)
    with pytest.raises(InputError):
        residue(three["s0"] * np.array([[1.0], [0.0]]), RATE, 500.0)


def test_hybrids_need_their_sounds(three) -> None:
    with pytest.raises(InputError, match="'s0'"):
        Hybrid("phase").apply({"spi": three["spi"]}, RATE, 0)
    with pytest.raises(UsageError):
        Hybrid("both")  # type: ignore[arg-type]


def test_random_phase_keeps_the_left_ear_and_levels_and_loses_coherence(three) -> None:
    out = RandomPhase().apply(three, RATE, 2)
    hz = np.arange(4001) * 2.0
    inner = (hz > 200) & (hz < 6000)
    left = np.fft.rfft(out["n0"][0])[inner] / np.fft.rfft(three["n0"][0])[inner]
    assert np.max(np.abs(np.angle(left))) < 1e-6, "the left ear goes through the bank, nothing else"
    for f0 in (250.0, 500.0, 2000.0):
        a, b = analytic_band(out["n0"], RATE, f0)
        assert abs(np.mean(a * b.conj())) / (rms(np.abs(a)) * rms(np.abs(b))) < 0.5
        assert 20 * np.log10(rms(np.abs(b)) / rms(np.abs(a))) == pytest.approx(0.0, abs=2.5)
    assert np.array_equal(out["n0"], RandomPhase().apply({"n0": three["n0"]}, RATE, 2)["n0"]), "shared by conditions"
    assert not np.allclose(out["n0"][1], RandomPhase().apply(three, RATE, 3)["n0"][1])


# --- L11, L12, L14 --------------------------------------------------------------------------------------------------


def test_rewrites() -> None:
    assert Rewrite(condition="NuSpi")(SPEC) == replace(SPEC, masker="Nu")
    assert Rewrite(frequency_hz=4000.0)(SPEC) == replace(SPEC, frequency_hz=4000.0)
    for f0 in (500.0, 2000.0):
        out = Rewrite(itd_periods=0.25)(replace(SPEC, frequency_hz=f0))
        assert (out.target, out.itd_us) == ("Stau", pytest.approx(0.25e6 / f0))
    assert Rewrite(condition="N0S_ild=10dB")(SPEC).ild_db == 10.0
    with pytest.raises(InputError):
        Rewrite(frequency_hz=9000.0)(SPEC)


# --- all ------------------------------------------------------------------------------------------------------------

ALL = (
    Intact(), LeftEar(), Downmix(), SwapEars(), FlipPolarity(), HighPass(), HighPass(phase="minimum"),
    HighPass(order=12, mask_db=-30.0), EqualiseEnergy(), LevelOffset(), LevelRove(), Vocoder(), Vocoder("shared"),
    FlattenEnvelope(), Hybrid("magnitude"), Hybrid("phase"), RandomPhase(),
)  # fmt: skip


@pytest.mark.parametrize("transform", ALL, ids=lambda t: type(t).__name__)
def test_every_transform_is_pure_finite_repeatable_and_silent_on_silence(transform, three) -> None:
    copies = {k: v.copy() for k, v in three.items()}
    out = transform.apply(three, RATE, 1)
    assert list(out) == list(three)
    assert all(np.array_equal(three[k], copies[k]) for k in three), "the input is left alone"
    assert all(v.shape == three[k].shape and v.dtype == np.float64 and np.isfinite(v).all() for k, v in out.items())
    again = transform.apply(three, RATE, 1)
    assert all(np.array_equal(out[k], again[k]) for k in out)
    silence = {k: np.zeros_like(v) for k, v in three.items()}
    assert all(np.max(np.abs(v)) < 1e-12 for v in transform.apply(silence, RATE, 1).values())
    with pytest.raises(InputError):
        transform.apply({"n0": three["n0"], "s0": three["s0"], "spi": three["spi"][:, :-1]}, RATE, 1)
    with pytest.raises(InputError):
        transform.apply({}, RATE, 1)


@given(st.lists(st.sampled_from([LevelOffset(), LevelRove(), HighPass(), SwapEars(), FlipPolarity()]), max_size=4))
@settings(max_examples=15, deadline=None)
def test_linear_rungs_compose_and_commute_with_addition(steps) -> None:
    chain = Chain(tuple(steps))
    three = triplet(replace(SPEC, duration_s=0.125), 0, RATE)
    tone = three["spi"] - three["n0"]
    out = chain.apply({**three, "tone": tone}, RATE, 6)
    assert np.allclose(out["n0"] + out["tone"], out["spi"], atol=1e-12)
    step_by_step = three
    for step in steps:
        step_by_step = step.apply(step_by_step, RATE, 6)
    assert all(np.array_equal(step_by_step[k], out[k]) for k in three)
