"""The trained tiny audio language model: the contract, that the weights are the ones described, and that it hears."""

from __future__ import annotations

from pathlib import Path

import pytest

from otoscope.audio.corpus import read_manifest
from otoscope.core.errors import UsageError
from otoscope.core.naming import parse_spec
from otoscope.models.bundled.tiny_audiolm import FOLDER, about
from otoscope.models.conformance import check
from otoscope.models.resolve import load, random_twin, resolve
from otoscope.tasks.audiomarathon.miniature.pool import read_pool
from otoscope.training.audiolm.evaluate import figures, long_figures

MANIFEST = Path(__file__).parents[3].parent / "shared" / "audio" / "manifest.jsonl"


def test_the_contract_holds() -> None:
    assert [c.name for c in check("tiny-audiolm") if c.status == "failed"] == []


def test_weights_are_small_and_say_where_they_come_from() -> None:
    assert sum(f.stat().st_size for f in FOLDER.iterdir()) < 20_000_000
    facts = about()
    assert all(len(sha) == 64 for sha in facts["trained_on_sha256"])
    for run in [*facts["folds"], facts["generated"]]:
        tasks = {k: v for k, v in run["held_out"].items() if k.startswith("audiomarathon/")}
        above = sum(v["interval"][0] > v["chance"] for v in tasks.values() if "chance" in v)
        assert len(tasks) == 10
        assert above >= (4 if "recipe" in run and run["recipe"]["steps"] < 3000 else 5), "short folds are what they are"
    for key in ("needle", "scene", "genre"):
        figure = facts["generated"]["held_out"][f"longaudio/{key}"]
        assert figure["interval"][0] > figure["chance"]
    card = resolve("tiny-audiolm").card
    assert card.licence == "CC BY-SA 4.0"
    assert any("left out" in note for note in card.notes)


def test_it_hears_what_it_was_not_trained_on() -> None:
    """A few of the described figures again, on the package's held-out voices and seeds."""
    pool = read_pool(None, "test")
    found = figures(load("tiny-audiolm"), pool, None, 8, seed=3)
    random = figures(load("tiny-audiolm:init=random,seed=0"), pool, None, 2, seed=3)
    assert found["digit"]["accuracy"] > 0.5
    assert found["digit_without_noise"]["accuracy"] > 0.5, "a user's recordings have digital silence around them"
    assert found["sound"]["accuracy"] > 0.6
    assert found["transcript"]["wer"] < 0.5
    assert long_figures(load("tiny-audiolm"), pool, 10, ("needle",), seed=3)["longaudio/needle"]["accuracy"] > 0.3
    assert random["sound"]["accuracy"] == 0
    assert random["transcript"]["wer"] > 0.9


@pytest.mark.skipif(not MANIFEST.is_file(), reason="the shared recordings are not beside the checkout")
def test_the_listed_recordings_are_all_that_the_pool_has() -> None:
    used = {c.sha256 for c in read_pool(MANIFEST, "train").used}
    assert used == set(about()["trained_on_sha256"])
    assert used <= {c.sha256 for c in read_manifest(MANIFEST)}


def test_parameters_are_of_the_name() -> None:
    ours = resolve("tiny-audiolm")
    twin = resolve(random_twin(parse_spec("tiny-audiolm"), 3))
    assert ours.identity() != twin.identity()
    assert "random weights: has learned nothing" in twin.card.notes
    for wrong in ("tiny-audiolm:path=elsewhere", "tiny-audiolm:dtype=float7", "tiny-audiolm:seed=1"):
        with pytest.raises(UsageError):
            resolve(wrong)
