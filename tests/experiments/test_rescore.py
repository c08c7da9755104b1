"""Stored replies under another parser: exact, without the model, and never over another file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from audiolm_fixtures import build, written  # noqa: F401
from click.testing import CliRunner

from otoscope import run
from otoscope.cli import cli
from otoscope.core.errors import InputError, UsageError
from otoscope.core.naming import parse_spec
from otoscope.core.nouns import Rescorable
from otoscope.experiments.experiment import Block, Experiment
from otoscope.experiments.rescore import rescore
from otoscope.experiments.scores import scores_of
from otoscope.results.store import Results
from otoscope.tasks.audiomarathon.miniature import read_pool, write
from otoscope.tasks.audiomarathon.task import _entries
from otoscope.tasks.catalogue import resolve_task

TASKS = ("sgr", "asr", "er")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("marathon")
    write(folder, read_pool(None, "test", seeds=2), n=3, scale=0.02, seed=1)
    next((folder / "VESUS").rglob("*.wav")).unlink()  # one item fails
    return folder


@pytest.fixture(scope="module")
def done(written, data, tmp_path_factory) -> Path:  # noqa: F811
    folder = tmp_path_factory.mktemp("run") / "run"
    tasks = tuple(parse_spec(f"audiomarathon/{t}:data={data}") for t in TASKS)
    exp = Experiment("a", (Block(tasks),), models=(parse_spec(str(written("audioflamingo3"))),))
    summary = run(exp, into=folder)
    assert (summary.n_done, summary.n_failed) == (9, 1)
    return folder


def test_the_own_parser_changes_nothing_and_loses_nothing(done) -> None:
    found = rescore(done, n_resamples=200)
    assert (found.n_replies, found.n_changed, found.skipped) == (8, 0, ())
    assert list(found.scores) == scores_of(done, n_resamples=200)


def test_another_parser_is_the_task_with_that_parser(done, data) -> None:
    found = {(s.task, s.metric): s for s in rescore(done, "official", n_resamples=50).scores}
    for key in ("sgr", "er"):
        task = resolve_task(f"audiomarathon/{key}:data={data}")
        assert isinstance(task, Rescorable)
        items = {i.id: i for i in task.items()}
        rows = Results.open(done).rows(metrics=["chosen"]).to_pylist()
        mine = [r for r in rows if r["item"] in items and r["raw"] is not None]
        read = [{r.metric: r.value for r in task.with_parser("official").rescore(items[m["item"]], m["raw"])}
                for m in mine]  # fmt: skip
        score = found[f"audiomarathon/{key}:data={data}", "accuracy"]
        assert score.value == pytest.approx(100 * sum(r["correct"] for r in read) / len(read))
        assert score.n_failed == (key == "er")


def test_mistakes_are_told(done, data, tmp_path) -> None:
    with pytest.raises(UsageError, match="parser"):
        rescore(done, "clever")
    moved = next((data / "VoxCeleb/concatenated_audio").glob("gender*.json"))
    before = moved.read_text()
    rows = json.loads(before)
    swapped = [{**r, "choice_a": r["choice_b"], "choice_b": r["choice_a"]} for r in rows]
    try:
        for changed, said in ((rows[:1], "no longer has the item"), (swapped, "another true_option")):
            moved.write_text(json.dumps(changed))
            _entries.cache_clear()
            with pytest.raises(InputError, match=said):
                rescore(done, "strict")
    finally:
        moved.write_text(before)
        _entries.cache_clear()


def test_the_command_writes_beside_and_never_over(done) -> None:
    def call(*args: str):
        return CliRunner().invoke(cli, ["rescore", str(done), *args])

    found = call("--parser", "strict", "--json")
    assert found.exit_code == 0, found.output
    told = json.loads(found.output)
    path = Path(told["scores"])
    assert path == done / "scores-strict.json"
    assert {s["metric"] for s in json.loads(path.read_text())} >= {"score", "unparsed_share"}
    assert call("--parser", "strict").exit_code == 0  # the same again says the same
    path.write_text("[]")
    refused = call("--parser", "strict")
    assert "says something else" in str(refused.exception)
    assert path.read_text() == "[]"
    assert call("--parser", "strict", "--force").exit_code == 0
    assert path.read_text() != "[]"
    assert Results.open(done).rows().num_rows  # the run is still one
