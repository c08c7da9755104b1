"""Interventions that learn: from which items, how often, what is kept, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from otoscope import run
from otoscope.core.errors import InputError, UsageError
from otoscope.core.naming import parse_spec
from otoscope.experiments.experiment import Block, Experiment, parse_experiment
from otoscope.experiments.fitting import Calibration, fitted
from otoscope.experiments.plan import Settings, make_plan
from otoscope.interventions.catalogue import resolve_intervention
from otoscope.interventions.lsac import Lsac
from otoscope.models.resolve import resolve
from otoscope.results.outputs import KeptOutputs
from otoscope.results.store import Results
from otoscope.tasks.catalogue import resolve_task

MODEL = f"file:{Path(__file__).parents[1] / 'interventions' / 'small.py'}#Small"
SCORED = "separation:n_items=3,duration_s=0.5,split=test"
LEARNED = "separation:n_items=2,duration_s=0.5,split=train"


def experiment(interventions=("none", "lsac", "placebo:seed=1"), fit_on=(LEARNED,), tasks=(SCORED,), model=MODEL):
    specs = lambda names: tuple(map(parse_spec, names))  # noqa: E731
    return Experiment(
        "s", (Block(specs(tasks)),), models=specs((model,)), interventions=specs(interventions), fit_on=specs(fit_on)
    )


def test_methods_that_learn_the_same_learn_once(tmp_path, monkeypatch) -> None:
    learned = []
    learn = Lsac.learn
    monkeypatch.setattr(
        Lsac, "learn", lambda self, model, calls: learned.append(len(calls)) or learn(self, model, calls)
    )
    summary = run(experiment(), into=tmp_path / "run")
    assert (summary.n_done, summary.n_failed) == (9, 0)
    assert learned == [2]
    rows = Results.open(tmp_path / "run").rows().to_pylist()
    by = {}
    for r in rows:
        by.setdefault((r["cell"], r["metric"]), []).append(r["value"])
    shares = [np.mean(v) for (_, metric), v in by.items() if metric == "saved_attention_maps"]
    assert sorted(shares)[0] == 0.0
    assert sorted(shares)[1] > 0.05
    # Another preset and another run of the same directory find what was learned.
    run(experiment(interventions=("lsac:preset=safe",)), into=tmp_path / "run")
    assert learned == [2]
    run(experiment(fit_on=(LEARNED.replace("=2", "=1"),)), into=tmp_path / "run")
    assert learned == [2, 1]


def test_what_is_learned_is_part_of_the_identity() -> None:
    cells = {c.cell.alias: c.id for c in make_plan(experiment(), Settings()).cells}
    other = {c.cell.alias: c.id for c in make_plan(experiment(fit_on=(f"{LEARNED},seed=5",)), Settings()).cells}
    assert cells.keys() == other.keys()
    changed = {alias for alias in cells if cells[alias] != other[alias]}
    assert changed == {alias for alias in cells if "lsac" in alias or "placebo" in alias}


def test_nothing_learned_from_is_scored() -> None:
    with pytest.raises(UsageError, match=r"would be scored on 'bundled-speech:\w+\+bundled-speech:\w+'"):
        make_plan(experiment(fit_on=(SCORED,)), Settings())
    with pytest.raises(UsageError, match="names none"):
        make_plan(experiment(fit_on=()), Settings())
    make_plan(experiment(interventions=("none", "freeze"), fit_on=(SCORED,)), Settings())  # these learn nothing


def test_a_fit_that_fails_fails_its_cell_alone(tmp_path) -> None:
    # The task's other sounds have names that this model has no words for.
    strange = "separation:tier=environmental,n_items=2,duration_s=0.5,split=train"
    summary = run(experiment(fit_on=(strange,)), into=tmp_path / "run")
    assert (summary.n_done, summary.n_failed) == (9, 6)
    notes = {r["note"] for r in Results.open(tmp_path / "run").rows().to_pylist() if r["status"] == "failed"}
    assert all("doesn't know the word" in note for note in notes)


def test_what_was_learned_survives_a_new_process(tmp_path) -> None:
    run(experiment(interventions=("none",)), into=tmp_path / "run")
    model, task = resolve(MODEL), resolve_task(LEARNED)
    model.load()
    calibration = Calibration.of([task])
    first = fitted(Lsac(), model, model.identity(), calibration, KeptOutputs(Results.open(tmp_path / "run")))
    again = fitted(Lsac(), model, model.identity(), calibration, KeptOutputs(Results.open(tmp_path / "run")))
    assert first.freeze == again.freeze
    assert again.learned_["n_items"] == 2


def test_only_separators_so_far() -> None:
    task = resolve_task("bmld:frequencies=500,n_seeds=1")
    with pytest.raises(InputError, match="only separators"):
        fitted(Lsac(), resolve(MODEL), {}, Calibration.of([task]), _Nothing())


class _Nothing:
    def output(self, key):
        return None

    def keep_output(self, key, arrays):
        raise AssertionError


def test_a_file_names_what_is_learned_from() -> None:
    table = {"presets": {"a": {"models": [MODEL], "fit_on": [LEARNED], "grid": [{"tasks": [SCORED]}]}}}
    found = parse_experiment(table, name="x", preset=None, where="x.toml")
    assert found.describe()["fit_on"] == [str(parse_spec(LEARNED))]
    assert found.override(fit_on=("separation:seed=3",)).fit_on == (parse_spec("separation:seed=3"),)
    assert found.override(data="somewhere").fit_on[0].params["data"] == "somewhere"
    assert resolve_intervention("lsac").needs_fit
