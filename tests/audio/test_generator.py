"""The package's own sounds: right level, right labels, repeatable, and told apart on seeds never seen."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from otoscope.audio import generator
from otoscope.audio.generator.finish import CREST_DB, limit_crest
from otoscope.audio.generator.instruments import INSTRUMENTS
from otoscope.audio.generator.music import SCALES, frequency
from otoscope.audio.resample import resample
from otoscope.audio.signals import db, root_mean_square
from otoscope.core.audio import Audio
from otoscope.core.errors import UsageError
from otoscope.core.identity import digest

SOUNDS = [(kind, label) for kind, labels in generator.catalogue().items() for label in labels]
PITCHED = sorted(INSTRUMENTS)


def make(kind: str, label: str, seed: int, rate: int = 16_000, duration_s: float = 1.0, **fixed: object) -> Audio:
    return generator.generate(kind, label, seed, rate, duration_s, **fixed)  # type: ignore[arg-type]


def test_the_catalogue_is_rich_and_sorted() -> None:
    catalogue = generator.catalogue()
    assert {kind: len(labels) for kind, labels in catalogue.items()} == {"event": 18, "note": 10, "phrase": 10}
    assert all(list(labels) == sorted(labels) for labels in catalogue.values())


@pytest.mark.parametrize(("kind", "label"), SOUNDS)
def test_level_peak_and_shape_at_any_rate(kind: str, label: str) -> None:
    for seed, (rate, duration) in enumerate([(8000, 0.1), (11_025, 0.37), (16_000, 2.0), (48_000, 0.6)]):
        audio = make(kind, label, seed, rate, duration)
        assert audio.samples.shape == (1, round(rate * duration))
        assert db(root_mean_square(audio.samples)) == pytest.approx(-25.0, abs=1e-3)
        assert db(np.abs(audio.samples).max()) <= -25.0 + CREST_DB + 1e-3


@pytest.mark.parametrize(("kind", "label"), SOUNDS)
def test_a_seed_is_one_sound_and_another_seed_another(kind: str, label: str) -> None:
    one, again, other = (make(kind, label, seed) for seed in (5, 5, 6))
    assert one.digest() == again.digest()
    assert abs(np.corrcoef(one.samples[0], other.samples[0])[0, 1]) < 0.9
    fine = resample(make(kind, label, 5, 48_000), 16_000)
    assert np.corrcoef(one.samples[0], fine.samples[0])[0, 1] > 0.999


@pytest.mark.parametrize(("kind", "label"), SOUNDS)
def test_parameters_are_plain_and_independent_draws(kind: str, label: str) -> None:
    drawn = generator.parameters(kind, label, 3)
    assert digest(drawn) == digest(generator.parameters(kind, label, 3))
    assert drawn != generator.parameters(kind, label, 4)
    name = sorted(drawn)[0]
    value = generator.parameters(kind, label, 9)[name]
    fixed = generator.parameters(kind, label, 3, **{name: value})
    assert fixed == {**drawn, name: value}


def test_gaps_are_quiet_but_not_digital_silence() -> None:
    x = make("event", "knock", 1, duration_s=4.0).samples[0]
    frames = np.sqrt(np.mean(x[: 160 * 400].reshape(-1, 160).astype(float) ** 2, axis=1))
    assert db(frames.min()) + 120 > 0
    assert db(frames.min()) < -60


@pytest.mark.parametrize("label", PITCHED)
def test_notes_have_the_pitch_they_are_labelled_with(label: str) -> None:
    instrument = INSTRUMENTS[label]
    for midi in (instrument.low, (instrument.low + instrument.high) // 2, instrument.high):
        audio = make("note", label, 2, 16_000, 1.5, midi=midi, length_s=2.0, detune_cents=0.0)
        x = audio.samples[0, 1600:].astype(float)
        size = 2**18
        power = np.abs(np.fft.rfft(x * np.hanning(len(x)), size))
        f = np.fft.rfftfreq(size, 1 / 16_000)
        near = np.flatnonzero(np.abs(f / frequency(midi) - 1) < 0.06)
        found = f[near[power[near].argmax()]]
        assert abs(1200 * np.log2(found / frequency(midi))) < 35  # vibrato moves the strongest line


@pytest.mark.parametrize("label", PITCHED)
def test_scores_keep_to_their_scale_tempo_and_length(label: str) -> None:
    for seed in range(4):
        drawn = generator.parameters("phrase", label, seed)
        score = generator.score(label, seed, 8.0)
        allowed = {(drawn["tonic"] + step) % 12 for step in SCALES[drawn["scale"]]}
        assert {note.midi % 12 for note in score if note.midi is not None} <= allowed
        assert score[0].midi == drawn["tonic"]
        assert score[-1].midi is not None
        assert (score[-1].midi - drawn["tonic"]) % 12 == 0
        assert score[-1].start_s + score[-1].duration_s == pytest.approx(8.0)
        halves = np.array([note.start_s for note in score]) * drawn["tempo_bpm"] / 60 * 2
        assert np.allclose(halves, np.round(halves), atol=1e-6)
        assert len({note.midi for note in score}) > 1


@pytest.mark.parametrize("seed", [3, 4])
def test_the_score_is_what_is_heard(seed: int) -> None:
    """The steepest rises of the energy are the onsets of the score, one each."""
    score = generator.score("marimba", seed, 6.0, rhythm="calm")
    x = make("phrase", "marimba", seed, 16_000, 6.0, rhythm="calm").samples[0].astype(float)
    energy = np.sqrt(np.mean(x.reshape(-1, 80) ** 2, axis=1))
    rise = np.diff(np.log10(energy + 5e-3))
    onsets = np.array([note.start_s * 200 for note in score[1:]])
    steepest = rise.argsort()[::-1][: len(onsets)]
    nearest = np.abs(steepest[:, None] - onsets[None]).argmin(1)
    assert len(set(nearest)) >= len(onsets) - 1
    assert np.abs(steepest - onsets[nearest]).max() <= 4


def test_drum_scores_lie_on_sixteenths() -> None:
    drawn = generator.parameters("phrase", "drum_kit", 2)
    score = generator.score("drum_kit", 2, 8.0)
    sixteenths = np.array([note.start_s for note in score]) * drawn["tempo_bpm"] / 15
    assert np.allclose(sixteenths, np.round(sixteenths), atol=1e-6)
    assert {"hat", "kick", "snare"} <= {note.piece for note in score}


def features(audio: Audio) -> np.ndarray:
    """Mean, spread and movement of 24 logarithmic bands."""
    x = audio.samples[0].astype(float)
    frames = np.lib.stride_tricks.sliding_window_view(x, 512)[::256] * np.hanning(512)
    power = np.abs(np.fft.rfft(frames)) ** 2
    edges = np.unique(np.geomspace(2, 256, 25).astype(int))
    bands = np.log10(np.add.reduceat(power[:, :256], edges[:-1], axis=1) + 1e-8)
    return np.concatenate([bands.mean(0), bands.std(0), np.abs(np.diff(bands, axis=0)).mean(0)])


@pytest.mark.parametrize(("kind", "least"), [("event", 0.85), ("note", 0.5), ("phrase", 0.65)])
def test_labels_can_be_told_on_unseen_seeds(kind: str, least: float) -> None:
    labels = generator.catalogue()[kind]

    def half(seeds: range) -> tuple[np.ndarray, np.ndarray]:
        pairs = list(itertools.product(range(len(labels)), seeds))
        x = np.array([features(make(kind, labels[k], seed, 16_000, 1.5)) for k, seed in pairs])
        return x, np.array([k for k, _ in pairs])

    (x, y), (u, v) = half(range(6)), half(range(50, 54))
    mean, spread = x.mean(0), x.std(0) + 1e-9
    centres = np.array([((x - mean) / spread)[y == k].mean(0) for k in range(len(labels))])
    guess = ((((u - mean) / spread)[:, None] - centres) ** 2).sum(-1).argmin(1)
    assert np.mean(guess == v) >= least
    assert least > 4 / len(labels)


def test_limiting_only_touches_what_sticks_out() -> None:
    x = np.zeros(10_000)
    x[::5000] = 1.0
    y = limit_crest(x + 1e-3 * np.random.default_rng(0).standard_normal(10_000), 22.0)
    assert db(np.abs(y).max() / root_mean_square(y)) <= 22.0
    flat = np.random.default_rng(0).standard_normal(1000)
    assert limit_crest(flat, 22.0) is flat


@pytest.mark.parametrize(
    ("arguments", "fixed", "words"),
    [
        (("sound", "dog_bark", 1, 16_000, 1.0), {}, "no kind of sound"),
        (("event", "dog_brak", 1, 16_000, 1.0), {}, "dog_bark"),
        (("event", "dog_bark", -1, 16_000, 1.0), {}, "seed"),
        (("event", "dog_bark", 1.5, 16_000, 1.0), {}, "seed"),
        (("event", "dog_bark", 1, 4000, 1.0), {}, "8000 to 48000"),
        (("event", "dog_bark", 1, 16_000, 0.01), {}, "0.1 s or more"),
        (("event", "dog_bark", 1, 16_000, 1.0), {"level_dbfs": -10.0}, "could clip"),
        (("event", "dog_bark", 1, 16_000, 1.0), {"pitsch_hz": 300}, "pitch_hz"),
        (("note", "flute", 1, 16_000, 1.0), {"midi": 20}, "whole number from 60 to 91"),
    ],
)
def test_wrong_requests_are_explained(arguments: tuple[object, ...], fixed: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        generator.generate(*arguments, **fixed)  # type: ignore[arg-type]
