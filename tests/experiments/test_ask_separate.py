"""Separators through the runner: what is called, what is kept and reused, what fails, what is compared."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from otoscope import run
from otoscope.core.errors import StoreError, UsageError
from otoscope.core.naming import parse_spec
from otoscope.core.registry import load_from_file
from otoscope.experiments.ask_separate import InMemory, arrays_of, output_key, stems_of, timing_key
from otoscope.experiments.execute import Bench, run_shard
from otoscope.experiments.experiment import Block, Experiment
from otoscope.experiments.forecast import forecast
from otoscope.experiments.plan import Settings, make_plan
from otoscope.experiments.scores import scores_of
from otoscope.interventions.none import NoIntervention
from otoscope.models.resolve import resolve
from otoscope.results.compare import compare
from otoscope.results.outputs import KeptOutputs
from otoscope.results.schema import COST_COLUMNS
from otoscope.results.scoring import dumps
from otoscope.results.store import Results
from otoscope.tasks.catalogue import resolve_task
from otoscope.tasks.conditions import Intact

FILTERS = Path(__file__).parents[1] / "tasks" / "separation" / "filters.py"
MODEL = f"file:{FILTERS}#BandSplit"
MOVE = f"file:{FILTERS}#MoveEdge"
TASK = "separation:n_items=10,duration_s=1.5"


@pytest.fixture
def filters():
    """The module behind the names above, with its record of calls empty."""
    module = sys.modules[load_from_file(MODEL).__module__]
    module.CALLS.clear()
    return module


@pytest.fixture
def mixtures():
    return resolve_task(TASK).items()[:3]


def bench(filters, intervention=None, task=TASK, model=None):
    return Bench(resolve_task(task), Intact(), model or filters.BandSplit(), intervention or NoIntervention())


def experiment(models=(MODEL,), interventions=("none", MOVE), tasks=(TASK,)):
    specs = lambda names: tuple(map(parse_spec, names))  # noqa: E731
    return Experiment("s", (Block(specs(tasks)),), models=specs(models), interventions=specs(interventions))


def by_metric(rows, item):
    return {r["metric"]: r for r in rows if r["item"] == item.id}


# --- one shard --------------------------------------------------------------------------------------------------


def test_the_empty_intervention_calls_once_and_keeps(filters, mixtures) -> None:
    outputs = InMemory()
    out = run_shard(bench(filters), mixtures, outputs)
    assert out.n_failed == 0
    assert [seed for _, seed in filters.CALLS] == [i.target["noise_seed"] for i in mixtures]
    rows = by_metric(out.rows, mixtures[0])
    assert rows["latent_cosine"]["value"] == 1.0
    assert rows["fidelity_stoi"]["value"] == pytest.approx(1.0, abs=1e-6)
    assert rows["fidelity_si_sdr_db"]["status"] == "undefined"
    assert rows["evaluations"]["value"] == 4.0
    assert all(r["seconds_model"] is not None for r in out.rows)
    run_shard(bench(filters, filters.MoveEdge()), mixtures, outputs)
    assert [edge for edge, _ in filters.CALLS[3:]] == [1500.0] * 3  # the kept outputs were enough


def test_without_kept_outputs_the_unmodified_model_runs_outside_the_intervention(filters, mixtures) -> None:
    model = filters.BandSplit()
    out = run_shard(bench(filters, filters.MoveEdge(), model=model), mixtures)
    assert [edge for edge, _ in filters.CALLS] == [1000.0] * 3 + [1500.0] * 3
    assert model.edge_hz == 1000.0
    assert out.n_failed == 0
    rows = by_metric(out.rows, mixtures[1])
    assert 0.5 < rows["latent_cosine"]["value"] < 1.0
    assert rows["fidelity_si_sdr_db"]["value"] > 3.0
    assert rows["saved_self_attention"]["value"] == 0.25
    assert rows["drains"]["value"] == 4.0  # once before and once after each call: item by item, none shared
    assert rows["stoi"]["output"] is None


def test_a_task_that_wants_no_comparison_gets_none(filters, mixtures, monkeypatch) -> None:
    import dataclasses

    b = bench(filters, filters.MoveEdge())
    request = type(b.task).request
    monkeypatch.setattr(
        type(b.task), "request", lambda s, i, c: dataclasses.replace(request(s, i, c), against_bare=False)
    )
    out = run_shard(b, mixtures)
    assert len(filters.CALLS) == 3
    assert "fidelity_stoi" not in {r["metric"] for r in out.rows}


def test_what_breaks_breaks_alone_and_says_so(filters, mixtures) -> None:
    items = resolve_task(TASK).items()
    model = filters.BandSplit(fails_on="man speaking")
    for intervention in (None, filters.MoveEdge()):
        out = run_shard(bench(filters, intervention, model=model), items)
        failed = [r for r in out.rows if r["status"] == "failed"]
        assert {r["item"] for r in failed} == {i.id for i in items if i.prompt == "man speaking"}
        assert 0 < len(failed) == out.n_failed < len(items)
        assert "cannot find man speaking" in failed[0]["note"]
    assert "also without an intervention" in failed[0]["note"]
    out = run_shard(bench(filters, model=filters.Wrong()), mixtures)
    assert out.n_failed == 3
    assert "gave a target of Audio(1 ch, 1.500 s, 16000 Hz)" in out.rows[0]["note"]


def test_the_key_is_all_that_an_output_depends_on(filters, mixtures) -> None:
    task, model = resolve_task(TASK), filters.BandSplit()
    request = task.request(mixtures[0], model.card)
    sounds = [i.inputs.render(16000)["mixture"] for i in mixtures[:2]]
    keys = {
        output_key(model, sounds[0], request),
        output_key(model, sounds[1], request),
        output_key(filters.BandSplit(900.0), sounds[0], request),
        output_key(model, sounds[0], task.request(mixtures[2], model.card)),
        output_key(model, mixtures[0].inputs.render(8000)["mixture"], request),
    }
    assert len(keys) == 5
    stems = model.separate(sounds[:1], [request.prompt], [0])[0]
    back = stems_of(arrays_of(stems))
    assert np.array_equal(back.target.samples, stems.target.samples)
    assert np.array_equal(back.latents, stems.latents)
    assert (back.evaluations, back.residual.rate) == (4, 16000)


# --- a run directory --------------------------------------------------------------------------------------------


def comparable(into):
    table = Results.open(into).rows().drop_columns(list(COST_COLUMNS))
    rows = [r for r in table.to_pylist() if r["metric"] != "saved_seconds"]  # the clock's value is never the same
    return sorted(rows, key=lambda r: (r["cell"], r["item"], r["metric"]))


def test_a_run_its_resume_its_scores_and_its_comparison(tmp_path) -> None:
    into = tmp_path / "run"
    limited = run(experiment(), into=into, limit=3)
    assert (limited.n_items, limited.n_done, limited.n_failed) == (6, 6, 0)
    summary = run(experiment(), into=into)
    assert (summary.n_done, summary.n_failed, summary.complete) == (20, 0, True)
    whole = tmp_path / "whole"
    run(experiment(interventions=(MOVE, "none")), into=whole)  # another order, in one go
    assert comparable(whole) == comparable(into)
    shards = {(r["cell"], r["output"]) for r in Results.open(into).rows().to_pylist() if r["output"]}
    changed = len(shards) - 10  # of the first item of each shard, also what the intervention made of it
    assert changed >= 1
    assert len(list((into / "outputs").iterdir())) == 20 + changed  # stems, and seconds
    Results.open(into).verify()

    scores = json.loads(dumps(scores_of(into, n_resamples=200)))
    found = {(s["intervention"], s["metric"]): s for s in scores}
    for metric in (
        "si_sdr_db", "si_sdri_db", "si_snr_db", "sdr_db", "sir_db", "sar_db", "stoi", "latent_cosine", "fidelity_stoi",
        "evaluations", "saved_self_attention", "saved_flops",
    ):  # fmt: skip
        for intervention in ("none", MOVE):
            score = found[intervention, metric]
            assert (score["status"], score["n"]) == ("ok", 10), (intervention, metric)
            assert score["factors"] == {"tier": "clean", "snr_db": 0.0}
    assert found["none", "fidelity_si_sdr_db"]["n_undefined"] == 10
    assert found[MOVE, "fidelity_si_sdr_db"]["n"] == 10
    assert found[MOVE, "saved_self_attention"]["value"] == 0.25

    pairs = compare(Results.open(into), "intervention", "none", ["si_sdr_db", "saved_flops"], n_resamples=200)
    assert {(c.metric, c.n_unmatched) for c in pairs} == {("si_sdr_db", 0), ("saved_flops", 0)}
    assert sum(c.n for c in pairs if c.metric == "si_sdr_db") == 10
    assert all(c.difference == pytest.approx(0.0625) for c in pairs if c.metric == "saved_flops")


def test_models_are_compared_item_by_item(tmp_path) -> None:
    narrow = f"{MODEL}:edge_hz=300"
    run(experiment((MODEL, narrow), ("none",)), into=tmp_path / "run")
    pairs = compare(Results.open(tmp_path / "run"), "model", MODEL, ["si_sdr_db"], n_resamples=200)
    assert sum(c.n for c in pairs) == 10
    assert all(c.difference < 0 for c in pairs)  # speech below 300 Hz is less of it


def test_failures_are_rows_and_are_tried_again(tmp_path) -> None:
    model = f"{MODEL}:fails_on=man speaking"
    summary = run(experiment((model,)), into=tmp_path / "run")
    assert summary.n_failed > 0
    assert summary.n_done == 20
    assert summary.exit_code == 1
    before = comparable(tmp_path / "run")
    run(experiment((model,)), into=tmp_path / "run")
    assert comparable(tmp_path / "run") == before


def test_kept_outputs_survive_deletion_and_refuse_damage(tmp_path, filters) -> None:
    run(experiment(interventions=("none",)), into=tmp_path / "run", limit=1)
    store = Results.open(tmp_path / "run")
    kept = KeptOutputs(store)
    names = {p.name for p in kept.folder.iterdir()}
    (key,) = [name for name in names if timing_key(name) in names]
    assert names == {key, timing_key(key)}
    assert kept.output(timing_key(key))["seconds"][0] > 0
    artefact = store.artefacts.folder / (kept.folder / key).read_text()
    assert store.rows().column("output").to_pylist()[0] == artefact.name
    assert kept.output("0" * 64) is None
    assert stems_of(kept.output(key)).target.n == 24000
    data = artefact.read_bytes()
    artefact.write_bytes(data[:-4] + b"\0\0\0\1")
    with pytest.raises(StoreError, match="damaged"):
        kept.output(key)
    with pytest.raises(StoreError, match="damaged"):
        run(experiment(interventions=(MOVE,)), into=tmp_path / "run", limit=1)
    artefact.unlink()
    assert kept.output(key) is None
    assert run(experiment(interventions=(MOVE,)), into=tmp_path / "run", limit=1).n_failed == 0
    (kept.folder / key).write_text("?")
    with pytest.raises(StoreError, match="holds no digest"):
        kept.output(key)


def test_a_dry_run_tries_both_cells_and_writes_nothing(tmp_path) -> None:
    exp = experiment()
    settings = Settings()
    lines = list(forecast(exp, make_plan(exp, settings), settings, tmp_path / "run"))
    assert [line.n_items for line in lines] == [10, 10]
    assert all(line.seconds_left > 0 and line.bytes_left > 0 and not line.note for line in lines)
    stems = 10 * 2 * 4 * 24000  # two float32 stems of 1.5 s, kept once
    assert lines[0].bytes_left > stems > lines[1].bytes_left
    assert not (tmp_path / "run").exists()


@pytest.mark.kill
@pytest.mark.parametrize("point", ["store.artefact.half-written:2", "store.artefact.before-rename:3"])
def test_a_run_killed_while_it_keeps_an_output_is_finished(tmp_path, point) -> None:
    """The second write is the key of the first output, the third is the second output."""
    path = tmp_path / "s.toml"
    names = json.dumps([MODEL]), json.dumps(["none", MOVE]), json.dumps([TASK])
    path.write_text("[presets.a]\nmodels = {}\ninterventions = {}\n[[presets.a.grid]]\ntasks = {}\n".format(*names))
    command = [sys.executable, "-m", "otoscope", "run", str(path), "--into", str(tmp_path / "run"), "--json"]
    killed = subprocess.run(command, env={**os.environ, "OTOSCOPE_FAULT": point}, capture_output=True, timeout=120)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    run(experiment(), into=tmp_path / "run")
    run(experiment(), into=tmp_path / "whole")
    assert comparable(tmp_path / "run") == comparable(tmp_path / "whole")
    Results.open(tmp_path / "run").verify()


def test_tasks_and_models_that_do_not_fit_are_left_out_with_the_reason() -> None:
    exp = experiment((MODEL, "logmel-ipd"), ("none",), (TASK, "bmld:n_seeds=1", "bmld/speech:n_clips=1"))
    plan = make_plan(exp, Settings())
    assert {(c.cell.task.name, str(c.cell.model)) for c in plan.cells} == {
        ("separation", MODEL), ("bmld", "logmel-ipd"), ("bmld/speech", "logmel-ipd"),
    }  # fmt: skip
    assert {(c.task.name, str(c.model)) for c, _ in plan.excluded} == {
        ("separation", "logmel-ipd"), ("bmld", MODEL), ("bmld/speech", MODEL),
    }  # fmt: skip
    reasons = {c.task.name: why for c, why in plan.excluded}
    assert "needs a separator" in reasons["separation"]
    assert "separator" in reasons["bmld"]


def test_separators_from_files_and_objects(filters) -> None:
    model = resolve(f"{MODEL}:edge_hz=700")
    assert (model.card.capability, model.edge_hz) == ("separator", 700)
    assert resolve(model) is model
    assert resolve(filters.BandSplit).edge_hz == 1000.0
    with pytest.raises(UsageError, match="has no parameter 'edge'"):
        resolve(f"{MODEL}:edge=700")
    with pytest.raises(UsageError, match="is not a separator: it needs card"):
        resolve(f"file:{FILTERS}#Unfinished")
