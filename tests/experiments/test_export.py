"""Stimuli out, embeddings in: the same scores as the model itself."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from otoscope import load, run
from otoscope.audio.io import read
from otoscope.core.errors import InputError, ModelError, UsageError
from otoscope.core.naming import parse_spec
from otoscope.experiments.experiment import Block, Experiment
from otoscope.experiments.export import export
from otoscope.experiments.scores import scores_of

TASK = "bmld:frequencies=500,n_seeds=3,snrs=-14 -6"


def experiment(model=None):
    models = () if model is None else (parse_spec(model),)
    conditions = (parse_spec("intact"), parse_spec("phase-only"))
    return Experiment("e", (Block((parse_spec(TASK),), conditions),), models=models or (parse_spec("logmel-ipd"),))


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("export") / "stimuli"
    return export(experiment(), folder)


@pytest.fixture(scope="module")
def matrix(exported):
    model = load("logmel-ipd")
    lines = [json.loads(x) for x in exported.manifest.read_text().splitlines()]
    sounds = [read(exported.folder / x["file"]) for x in lines]
    assert [s.digest() for s in sounds] == [x["sha256_samples"] for x in lines]  # float WAV keeps every bit
    return np.stack([v["last"] for v in model.embed(sounds)])


def test_every_sound_once(exported):
    lines = exported.manifest.read_text().splitlines()
    assert len(lines) == exported.n_sounds == len({json.loads(x)["sha256_samples"] for x in lines})
    assert len(lines) == len(list(exported.folder.glob("*.wav")))


@pytest.mark.parametrize("suffix", [".npy", ".parquet", "-list.parquet"])
def test_a_matrix_gives_the_scores_of_the_model(exported, matrix, tmp_path, suffix):
    path = tmp_path / f"e{suffix}"
    if suffix == ".npy":
        np.save(path, matrix)
    elif suffix == ".parquet":
        pq.write_table(pa.table({f"d{i}": matrix[:, i] for i in range(matrix.shape[1])}), path)
    else:
        pq.write_table(pa.table({"embedding": [row.tolist() for row in matrix]}), path)
    name = f"embeddings:path={path},manifest={exported.manifest}"
    run(experiment(name), into=tmp_path / "imported")
    run(experiment(), into=tmp_path / "direct")

    def deltas(folder):
        return [(s.condition, s.factors, s.value) for s in scores_of(folder) if s.metric == "delta_bmld_db"]

    one, two = deltas(tmp_path / "imported"), deltas(tmp_path / "direct")
    assert [x[:2] for x in one] == [x[:2] for x in two]
    np.testing.assert_allclose([x[2] for x in one], [x[2] for x in two], rtol=1e-4)


def test_what_does_not_fit_is_said(exported, matrix, tmp_path):
    short = tmp_path / "short.npy"
    np.save(short, matrix[:-1])
    with pytest.raises(ModelError, match="lines"):
        load(f"embeddings:path={short},manifest={exported.manifest}")
    bad = tmp_path / "bad.npy"
    broken = matrix.copy()
    broken[2, 0] = np.nan
    np.save(bad, broken)
    with pytest.raises(ModelError, match="row 2"):
        load(f"embeddings:path={bad},manifest={exported.manifest}")
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object))
    with pytest.raises(ModelError, match="cannot be read"):
        load(f"embeddings:path={tmp_path / 'objects.npy'},manifest={exported.manifest}")
    with pytest.raises(UsageError, match="path="):
        load("embeddings")
    with pytest.raises(InputError, match="gone"):
        load(f"embeddings:path={short},manifest=gone.jsonl")


def test_other_stimuli_fail_as_rows(exported, matrix, tmp_path):
    np.save(tmp_path / "e.npy", matrix)
    name = f"embeddings:path={tmp_path / 'e.npy'},manifest={exported.manifest}"
    summary = run(experiment(name).override(seed=5), into=tmp_path / "run")
    assert summary.n_failed == summary.n_items
    assert summary.exit_code == 1


def test_a_folder_is_filled_once_and_adaptive_tasks_are_refused(exported, tmp_path):
    with pytest.raises(UsageError, match="already"):
        export(experiment(), exported.folder)
    adaptive = experiment().override(tasks=["bmld/threshold:adaptive=true"], conditions=["intact"])
    with pytest.raises(UsageError, match="adaptive"):
        export(adaptive, tmp_path / "x")
