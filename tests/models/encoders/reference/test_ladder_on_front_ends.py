"""What the rungs of the ladder do to a phase-blind and to a phase-using front end (16 seeds, 500 Hz)."""

from __future__ import annotations

import functools
import itertools

import numpy as np
import pytest

from otoscope.audio.binaural import BinauralSpec
from otoscope.audio.stimuli import render, triplet
from otoscope.audio.transforms.ladder import ladder
from otoscope.models.encoders.reference.logmel_ild import LogMelIld
from otoscope.models.encoders.reference.logmel_ipd import LogMelIpd

RATE = 16000
SEEDS = range(16)
BLIND, PHASE = LogMelIld(), LogMelIpd()
RUNGS = ladder()


@functools.lru_cache(maxsize=512)
def stimulus(seed: int, snr: float) -> dict[str, np.ndarray]:
    return triplet(BinauralSpec(snr_db=snr), seed, RATE)


@functools.cache
def distances(rung: str, snr: float) -> np.ndarray:
    """``[seeds, 2 front ends, 2]``: distances of spi and s0 to n0, both front ends on the same sounds."""
    transform = RUNGS[rung].transform
    out = []
    for seed in SEEDS:
        three = transform.apply(stimulus(seed, snr), RATE, seed)  # type: ignore[union-attr]
        row = []
        for front in (BLIND, PHASE):
            z = {k: front.frames(x).mean(axis=1).ravel() for k, x in three.items()}
            row.append([np.linalg.norm(z[k] - z["n0"]) for k in ("spi", "s0")])
        out.append(row)
    return np.array(out)


def delta(rung: str, front: object, snr: float) -> float:
    d = distances(rung, snr)[:, int(front is PHASE)]
    return float(np.mean(20 * np.log10(d[:, 0] / d[:, 1])))


@pytest.mark.parametrize(
    ("rung", "blind", "phase", "tolerance"),
    [
        ("L0", (6.0, 0.6), (16.3, 10.4), 1.0),
        ("L8", (2.8, 0.0), (0.4, -0.1), 1.0),
        ("L9", (2.1, 0.0), (16.0, 10.8), 1.3),
        ("L5", (2.4, 0.4), (15.2, 11.0), 1.5),
        ("L4-order4-zero", (5.8, 0.6), (16.5, 10.4), 1.3),
    ],
)
def test_measured_rungs(rung: str, blind: tuple[float, float], phase: tuple[float, float], tolerance: float) -> None:
    assert [delta(rung, BLIND, q) for q in (-22.0, -14.0)] == pytest.approx(blind, abs=tolerance)
    assert [delta(rung, PHASE, q) for q in (-22.0, -14.0)] == pytest.approx(phase, abs=tolerance)


def test_hybrids_separate_the_mechanisms() -> None:
    assert abs(delta("L8", PHASE, -14.0)) < 1.0
    assert abs(delta("L9", PHASE, -14.0) - delta("L0", PHASE, -14.0)) < 1.5
    for rung in ("L8", "L9", "L5"):
        assert 0.0 < delta(rung, BLIND, -22.0) < delta("L0", BLIND, -22.0)


def test_a_steep_high_pass_leaves_a_large_ratio_of_nothing() -> None:
    for rung in ("L4-order12-zero", "L4-order12-minimum"):
        assert 15.0 < delta(rung, BLIND, -22.0) < 35.0
        assert 35.0 < delta(rung, PHASE, -22.0) < 55.0
        intact, left = distances("L0", -22.0), distances(rung, -22.0)
        assert np.all(left.mean(axis=0) < 3e-3 * intact.mean(axis=0))


def test_only_the_masked_high_pass_can_be_read() -> None:
    # Distances against those between noises: neither is detected, and the masked one is no longer a ratio of nothing.
    transform = RUNGS["L4-masked"].transform
    z = []
    for seed in range(6):
        three = {"n0": render(BinauralSpec(snr_db=None), seed, RATE)}
        z.append(PHASE.frames(transform.apply(three, RATE, seed)["n0"]).mean(axis=1).ravel())  # type: ignore[union-attr]
    natural = np.sqrt(np.mean([np.sum((a - b) ** 2) for a, b in itertools.pairwise(z)]))
    for rung in ("L4-masked", "L4-order12-zero"):
        assert distances(rung, -6.0)[:, 1].max() < 0.1 * natural
    assert abs(delta("L4-masked", BLIND, -6.0)) < 3.0
    assert abs(delta("L4-masked", PHASE, -6.0)) < 3.0


@pytest.mark.parametrize("rung", ["L6-offset", "L6-rove"])
def test_level_differences_swamp_the_phase_blind_one_only(rung: str) -> None:
    assert delta(rung, BLIND, -22.0) < delta("L0", BLIND, -22.0) - 2.0
    assert delta(rung, PHASE, -22.0) == pytest.approx(delta("L0", PHASE, -22.0), abs=0.01)


def test_vocoders() -> None:
    assert abs(delta("L7-independent", PHASE, -22.0)) < 1.5
    assert abs(delta("L7-independent", BLIND, -22.0)) < 1.5
    assert delta("L7-shared", BLIND, -22.0) > 3.0, "the level difference of the ears rides on equal carriers"
    assert delta("L7-shared", PHASE, -14.0) < 2.0


def test_random_phase_loses_phase_and_keeps_some_magnitude() -> None:
    assert delta("L10", PHASE, -14.0) < 1.5
    assert delta("L10", BLIND, -22.0) > 1.0
