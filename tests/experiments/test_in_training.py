"""Items that a model was trained on are marked in rows and counted in scores, and are nobody's headline."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from otoscope.core.audio import Audio
from otoscope.core.items import Item, Transformed, recordings
from otoscope.core.nouns import Card
from otoscope.experiments.execute import mark_training
from otoscope.experiments.experiment import load_experiment
from otoscope.experiments.runner import run
from otoscope.experiments.scores import scores_of
from otoscope.models.resolve import resolve
from otoscope.report.chapters import headline_of
from otoscope.report.run import Run
from otoscope.results.heard import heard_before
from otoscope.results.store import Results

RATE = 8000
FIRST, SECOND = "a" * 64, "0123456789abcdef" * 4

MODEL = """
import torch

class Levels(torch.nn.Module):
    rate, channels = 8000, 1
    trained_on = {heard!r}

    def forward(self, x):
        return x.abs().mean(-1).reshape(len(x), 1, 1).repeat(1, 4, 3)
"""


class Sounds:
    names = ("clip",)

    def __init__(self, about: Any) -> None:
        self.about = about

    def render(self, rate: int) -> dict[str, Audio]:
        return {"clip": Audio(np.zeros((1, 8), np.float32), rate)}

    def describe(self) -> Any:
        return self.about


def item(name: str, about: Any) -> Item:
    return Item(name, name, name, Sounds(about))


def test_recordings_are_found_wherever_a_description_names_them() -> None:
    about = {"stems": [{"clips": [FIRST, SECOND]}, {"sha256": FIRST}], "seed": 3, "digest": FIRST[:32], "file": "x"}
    assert recordings(item("a", about)) == {FIRST, SECOND}
    turned = Item("a", "a", "a", Transformed(Sounds(about), lambda x: x, {"kind": "gain", "db": 3}))
    assert recordings(turned) == {FIRST, SECOND}
    assert recordings(item("b", {"seed": 3})) == frozenset()


@pytest.mark.parametrize(("heard", "expected"), [({FIRST}, [True, False]), ({SECOND}, [False, False])])
def test_rows_say_whether_their_item_was_heard(heard: set[str], expected: list[bool]) -> None:
    card = Card("m", "encoder", "", RATE, 1, trained_on=frozenset(heard))
    rows: list[dict[str, Any]] = [{"item": "a"}, {"item": "b"}]
    mark_training(rows, [item("a", [FIRST]), item("b", ["f" * 64])], card)
    assert [r["in_training"] for r in rows] == expected


def folder(root: Path) -> Mapping[str, Path]:
    """Ten loud and ten soft noises, a recording each."""
    found = {}
    for k in range(20):
        label = ("soft", "loud")[k % 2]
        file = root / label / f"{k}.wav"
        file.parent.mkdir(parents=True, exist_ok=True)
        x = (0.02, 0.4)[k % 2] * np.random.default_rng(k).uniform(-1, 1, RATE // 4)
        soundfile.write(file, x, RATE)
        found[file.stem] = file
    return found


def test_a_run_marks_counts_and_takes_no_headline_from_them(tmp_path: Path) -> None:
    files = folder(tmp_path / "clips")
    heard = [hashlib.sha256(files[k].read_bytes()).hexdigest() for k in ("0", "1", "2")]
    for name, known in (("stranger", []), ("pupil", heard)):
        (tmp_path / f"{name}.py").write_text(MODEL.format(heard=known), encoding="utf-8")
    models = [f"file:{tmp_path / name}.py#Levels" for name in ("stranger", "pupil")]
    task = f"probes/folder:data={tmp_path / 'clips'},probes=xares-mlp,seeds=0,min_steps=60"
    run(load_experiment("encoders", "small").override(tasks=[task], models=models), into=tmp_path / "run")
    rows = Results.open(tmp_path / "run").rows(columns=["cell", "item", "in_training"]).to_pylist()
    assert len({(r["cell"], r["item"]) for r in rows if r["in_training"]}) == 3
    scores = scores_of(tmp_path / "run")
    marked = [s for s in scores if s.n_in_training]
    assert marked
    assert all("pupil" in s.model and s.n_in_training == 3 and "3 of 20 were in" in str(s.note) for s in marked)
    (known,) = heard_before(scores)
    assert "3 of 20 items of probes/folder" in known
    head = headline_of(Run.read(Results.open(tmp_path / "run")))
    assert head.verdict == "not held out"
    assert known in head.sentence


def test_a_run_of_strangers_has_a_headline() -> None:
    from otoscope.results.scoring import Score

    found = headline_of(Run("mine", [Score("mine", "intact", "m", "none", "accuracy", {}, 0.8, 0.7, 0.9, n=40)]))
    assert found.verdict == "scores"


def test_bundled_models_list_what_they_heard_and_random_twins_nothing() -> None:
    for name in ("tiny-audiolm", "tiny-uniwhisper", "tiny-separator", "tiny-binaural-spatial"):
        assert len(resolve(name).card.trained_on) > 100
        assert resolve(f"{name}:init=random,seed=1").card.trained_on == frozenset()
