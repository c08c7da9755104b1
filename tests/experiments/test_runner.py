"""Runs as a whole: enlarging, superseding, Python objects, plans that refuse."""

import numpy as np
import pytest

from otoscope import run
from otoscope.core.errors import UsageError
from otoscope.core.naming import parse_spec
from otoscope.experiments.experiment import Block, Experiment
from otoscope.experiments.plan import Settings, make_plan
from otoscope.experiments.scores import scores_of
from otoscope.results.store import Results


def experiment(*models, task="bmld:frequencies=500,n_seeds=2,snrs=-14", conditions=("intact",), **kw):
    block = Block((parse_spec(task),), tuple(map(parse_spec, conditions)))
    return Experiment("e", (block,), models=tuple(map(parse_spec, models)), **kw)


class Power:
    """A user's encoder in seven lines."""

    name = "power"
    rate, channels, version = 16000, 2, 1

    def encode(self, x):
        return np.log(np.abs(np.fft.rfft(x[..., :512])) + 1e-3).reshape(len(x), 1, -1).astype(np.float32)

    def identity(self):
        return {"power": self.version}


def test_a_python_object_is_a_model(tmp_path):
    summary = run(experiment(), models=[Power()], into=tmp_path / "run")
    assert summary.exit_code == 0
    assert {s.model for s in scores_of(tmp_path / "run")} == {"power"}
    with pytest.raises(UsageError, match="workers=1"):
        run(experiment(), models=[Power()], into=tmp_path / "run", workers=2)
    with pytest.raises(UsageError, match="two model objects"):
        run(experiment(), models=[Power(), Power()], into=tmp_path / "run")


def test_more_models_and_more_seeds_add_the_difference(tmp_path):
    into = tmp_path / "run"
    run(experiment("left-only"), into=into)
    first = set(into.glob("items/*/*.parquet"))
    run(experiment("left-only", "logmel"), into=into)
    second = set(into.glob("items/*/*.parquet"))
    assert first < second
    assert len(second) == 2
    summary = run(experiment("left-only", task="bmld:frequencies=500,n_seeds=200,snrs=-14"), into=into)
    assert summary.n_items == 200
    found = [s for s in scores_of(into) if s.model == "left-only" and s.metric == "delta_bmld_db"]
    assert [s.n for s in found] == [200]


def test_limit_bounds_items_and_never_cuts_what_is_there(tmp_path):
    into = tmp_path / "run"
    assert run(experiment("left-only"), into=into, limit=1).n_items == 1
    assert run(experiment("left-only"), into=into).n_items == 2
    assert run(experiment("left-only"), into=into, limit=1).n_items == 2


def test_a_model_that_can_be_had_at_last_supersedes_its_failures(tmp_path):
    path = tmp_path / "enc.py"
    name = f"file:{path}#Late"
    path.write_text(
        "import os\nfrom otoscope.core.errors import ModelError\n"
        "class Late:\n    rate, channels = 16000, 2\n"
        "    def __init__(self):\n"
        "        if not os.environ.get('LATE'):\n            raise ModelError('weights are missing', where='Late')\n"
        "    def encode(self, x):\n        return x[:, :, ::4000].reshape(len(x), 1, -1)\n"
    )
    into = tmp_path / "run"
    import os

    os.environ.pop("LATE", None)
    summary = run(experiment(name), into=into)
    assert summary.n_failed == 2
    os.environ["LATE"] = "1"
    try:
        assert run(experiment(name), into=into).n_failed == 0
    finally:
        del os.environ["LATE"]
    scores = [s for s in scores_of(into) if s.metric == "delta_ungated_db"]
    assert [(s.n, s.n_failed) for s in scores] == [(2, 0)]


def test_cells_that_make_no_sense_are_left_out_with_the_reason():
    plan = make_plan(experiment("ec-durlach", "logmel", conditions=("intact", "phase-only")), Settings())
    assert len(plan.cells) == 3
    assert "does not hear" in plan.excluded[0][1]
    plan = make_plan(experiment("ec-durlach", task="bmld/threshold"), Settings())
    assert not plan.cells
    assert "decision variable" in plan.excluded[0][1]


def test_a_front_end_without_weights_has_no_twin():
    plan = make_plan(experiment("logmel", twins=2), Settings())
    assert [str(p.cell.model) for p in plan.cells] == ["logmel"]
    assert "no weights" in plan.excluded[0][1]


def test_a_python_object_has_no_twin(tmp_path):
    summary = run(experiment(), models=[Power()], twins=1, into=tmp_path / "run")
    assert summary.exit_code == 0
    assert "Python object" in summary.plan.excluded[0][1]


def test_equal_computations_run_once():
    plan = make_plan(experiment("logmel", "logmel:pool=mean"), Settings())
    assert len(plan.cells) == 1
    assert "same computation" in plan.excluded[0][1]


def test_layers_are_a_factor(tmp_path):
    run(experiment("tiny-stereo:layer=all"), into=tmp_path / "run")
    layers = {s.factors.get("layer") for s in scores_of(tmp_path / "run") if s.metric == "delta_ungated_db"}
    assert layers == {0, 1, 2}


def test_worker_counts_do_not_change_a_network(tmp_path):
    drop = ["seconds_render", "seconds_model", "peak_bytes"]
    found = []
    for workers in (1, 2):
        run(experiment("tiny-stereo", "tiny-wav2vec2"), into=tmp_path / str(workers), workers=workers)
        rows = Results.open(tmp_path / str(workers)).rows().drop_columns(drop).to_pylist()
        found.append(sorted(rows, key=lambda r: (r["cell"], r["item"], r["metric"])))
    assert found[0] == found[1]
