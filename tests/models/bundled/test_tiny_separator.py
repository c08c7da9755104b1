"""The trained tiny separator: the contract, that the weights are the ones described, and that it does as it is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from otoscope.audio.corpus import read_manifest
from otoscope.core.audio import Audio
from otoscope.core.errors import UsageError
from otoscope.core.nouns import StemPrompt
from otoscope.models.bundled.tiny_separator import FILE, SAMPLING, about
from otoscope.models.conformance import check
from otoscope.models.resolve import resolve
from otoscope.tasks.separation.levels import si_sdr_db
from otoscope.training.separation.evaluate import cases
from otoscope.training.separation.mixtures import CORPORA, held_out, pool

MANIFEST = Path(__file__).parents[3].parent / "shared" / "audio" / "manifest.jsonl"


@pytest.mark.parametrize("name", ["tiny-separator:steps=2", "tiny-separator:solver=midpoint,steps=1"])
def test_the_contract_holds(name: str) -> None:
    assert [c.name for c in check(name) if c.status == "failed"] == []


def test_weights_are_small_and_say_where_they_come_from() -> None:
    assert FILE.stat().st_size < 12_000_000
    facts = about()
    assert all(len(sha) == 64 for sha in facts["trained_on_sha256"])
    for origin in ("recorded", "generated"):
        for kind in ("speech", "sound"):
            curve = facts["held_out"][origin][kind]["si_sdri_db"]
            assert list(curve) == ["1", "2", "4", "8", "16", "32", "64"]
            assert curve["16"][0] > 7.0
    card = resolve("tiny-separator").card
    assert card.licence == "CC BY-SA 4.0"
    assert any("held-out" in note for note in card.notes)


def test_it_gives_what_is_asked_for_on_sounds_that_it_was_not_trained_on() -> None:
    """Both stems of the package's own held-out mixtures, against the mixture and against a random twin."""
    asked = cases(pool(None, 8_000, generated=1, held=True), 3, seed=5)
    gains = {}
    for name in ("tiny-separator:steps=4", "tiny-separator:init=random,seed=0,steps=4"):
        model = resolve(name)
        stems = [
            model.separate([Audio(c.mixture[None], 8_000)], [StemPrompt(c.text)], [c.seed])[0].target.samples[0]
            for c in asked
        ]
        gains[name] = [
            si_sdr_db(x, c.target) - si_sdr_db(c.mixture, c.target) for x, c in zip(stems, asked, strict=True)
        ]
    trained, random = map(np.mean, gains.values())
    assert trained > 6.0
    assert random < 1.0


@pytest.mark.skipif(not MANIFEST.is_file(), reason="the shared recordings are not beside the checkout")
def test_from_the_noise_of_training_steps_matter() -> None:
    for kinds in about()["held_out_warm"].values():
        for curves in kinds.values():
            one, most = (curves["power_db"][s] for s in ("1", "64"))
            assert one[2] < most[1]  # the intervals do not touch
            assert abs(most[0]) < 0.2
            assert curves["si_sdri_db"]["1"][0] - curves["si_sdri_db"]["64"][0] > 1.0
            assert curves["fidelity_si_sdr_db"]["1"][2] < curves["fidelity_si_sdr_db"]["16"][1]


def test_no_held_out_recording_was_trained_on() -> None:
    clips = [c for c in read_manifest(MANIFEST) if c.corpus in CORPORA]
    held = {c.sha256 for c in clips if held_out(c)}
    trained = set(about()["trained_on_sha256"])
    assert len(held) > 200
    assert not held & trained
    assert {c.sha256 for c in clips} - held <= trained


def test_parameters_are_of_the_name() -> None:
    ours, other = resolve("tiny-separator"), resolve("tiny-separator:steps=8")
    assert ours.identity() != other.identity()
    assert ours.identity()["sampling"]["steps"] == SAMPLING.steps
    with pytest.raises(UsageError):
        resolve("tiny-separator:steps=0")
