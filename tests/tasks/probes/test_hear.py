"""Task folders of HEAR as probe tasks."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hear_folder import write_hear_task

from otoscope.core.errors import InputError, UsageError
from otoscope.core.naming import parse_spec
from otoscope.experiments.experiment import Block, Experiment
from otoscope.experiments.runner import run
from otoscope.tasks.catalogue import resolve_task
from otoscope.tasks.probes.hear import RatedFile
from otoscope.tasks.probes.study import task_key


def task(folder, more=""):
    return resolve_task(f"probes/hear:data={folder}{more}")


def test_splits_classes_and_labels(tmp_path):
    found = task(write_hear_task(tmp_path / "mini", n_classes=3)).collection
    assert (found.kind, found.metric, found.folds, found.title) == ("clip", "accuracy", False, "HEAR mini")
    assert found.parts == ("train", "valid", "test")
    assert len(found.entries) == 24
    assert {e.labels for e in found.entries} == {(c,) for c in found.classes}
    assert [e.problem for e in found.entries if e.problem] == []


def test_folds_several_labels_and_events(tmp_path):
    folds = task(write_hear_task(tmp_path / "folds", splits=("fold00", "fold01", "fold02"))).collection
    assert folds.folds
    assert folds.parts == ("fold00", "fold01", "fold02")
    several = task(write_hear_task(tmp_path / "several", prediction_type="multilabel")).collection
    assert several.metric == "map"
    assert sorted({len(e.labels) for e in several.entries}) == [0, 1, 2]
    events = task(write_hear_task(tmp_path / "events", embedding_type="event", prediction_type="multilabel"))
    assert (events.head_kind, events.collection.metric) == ("frame", "segment-f1-macro")
    assert events.collection.entries[0].target[0][:2] == (0.0, 0.25)  # ms there, s here


def test_an_encoder_hears_the_files_of_its_rate(tmp_path):
    folder = write_hear_task(tmp_path / "mini", rates=(16_000, 48_000))
    found = task(folder)
    source = found.collection.entries[0].source
    assert [source.at(r).load().rate for r in (16_000, 22_050, 48_000, 96_000)] == [16_000, 48_000, 48_000, 48_000]
    (item,) = [i for i in found.items() if i.id == "train/train-0.wav"]
    heard = item.inputs.render(16_000)["clip"]
    assert np.array_equal(heard.samples, source.at(16_000).load().samples)
    assert len(source.describe()["sha256"]) == 2


def test_a_run_scores_it(tmp_path):
    folder = write_hear_task(tmp_path / "mini", n=12, rates=(16_000,))
    block = Block((parse_spec(f"probes/hear:data={folder},probes=linear,seeds=0"),))
    done = run(Experiment("e", (block,), models=(parse_spec("logmel"),)), into=tmp_path / "run")
    assert done.n_failed == 0
    values = [r["value"] for r in done.results.rows(metrics=["score"]).to_pylist() if r["metric"] == "score"]
    assert len(values) == 12  # of the test part
    assert np.mean(values) > 0.8
    (cell,) = done.results.cells()
    assert task_key(cell.task).startswith("probes/hear:data=mini")


def test_what_is_wrong_is_said(tmp_path):
    folder = write_hear_task(tmp_path / "mini")
    (folder / "16000" / "test" / "test-1.wav").unlink()
    (folder / "48000" / "test" / "test-1.wav").unlink()
    labels = json.loads((folder / "train.json").read_text())
    labels["train-0.wav"] = ["unheard-of"]
    (folder / "train.json").write_text(json.dumps(labels))
    problems = {e.id: e.problem for e in task(folder).collection.entries if e.problem}
    assert sorted(problems) == ["test/test-1.wav", "train/train-0.wav"]
    assert "in none of 16000/test, 48000/test" in problems["test/test-1.wav"]
    assert "'unheard-of' is not in labelvocabulary.csv" in problems["train/train-0.wav"]
    with pytest.raises(UsageError, match="none is named"):
        resolve_task("probes/hear").collection  # noqa: B018
    with pytest.raises(InputError, match=r"task_metadata\.json.*cannot be read"):
        task(tmp_path).collection  # noqa: B018
    labels["../../evil.wav"] = ["x"]
    (folder / "train.json").write_text(json.dumps(labels))
    with pytest.raises(InputError, match="unsafe name"):
        task(folder).collection  # noqa: B018
    (folder / "labelvocabulary.csv").write_text("idx,label\n1,a\n")
    with pytest.raises(InputError, match="don't run from 0"):
        task(folder).collection  # noqa: B018
    about = json.loads((folder / "task_metadata.json").read_text())
    (folder / "task_metadata.json").write_text(json.dumps({**about, "embedding_type": "smell"}))
    with pytest.raises(InputError, match="smell multiclass, which no probe reads"):
        task(folder).collection  # noqa: B018


def test_a_file_in_the_folder_of_another_rate_is_refused(tmp_path):
    folder = write_hear_task(tmp_path / "mini", rates=(16_000,))
    path = folder / "16000" / "train" / "train-0.wav"
    with pytest.raises(InputError, match="is at 16000 Hz, in the folder of 48000 Hz"):
        RatedFile(((48_000, path),), "x").load()
