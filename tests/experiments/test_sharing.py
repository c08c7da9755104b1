"""Cells that share their items: the same rows as cell by cell, each sound rendered once, also with two workers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from audiolm_fixtures import build, written  # noqa: F401

from otoscope import run
from otoscope.core.naming import parse_spec
from otoscope.experiments.experiment import Block, Experiment
from otoscope.experiments.plan import Settings
from otoscope.results.schema import COST_COLUMNS
from otoscope.results.store import Results
from otoscope.tasks.answers import MEASURED
from otoscope.tasks.audiomarathon.inputs import FileInputs
from otoscope.tasks.audiomarathon.miniature import read_pool, write

NAMES = ("none", "prune/frame:keep=0.5", "prune/random:keep=0.3", "evict/knorm:keep=0.5")


@pytest.fixture(scope="module")
def experiment(written, tmp_path_factory) -> Experiment:  # noqa: F811
    folder = tmp_path_factory.mktemp("marathon")
    write(folder, read_pool(None, "test", seeds=2), n=9, scale=0.02, seed=1)
    specs = lambda *names: tuple(map(parse_spec, names))  # noqa: E731
    block = Block(specs(f"audiomarathon/sgr:data={folder}"), specs("intact", "crop:seconds=1"))
    return Experiment("s", (block,), models=specs(str(written("qwen2_audio"))), interventions=specs(*NAMES))


def rows(folder: Path) -> list[tuple]:
    store = Results.open(folder)
    table = store.rows().drop_columns([*COST_COLUMNS, "output"])
    kept = [r for r in table.to_pylist() if r["metric"] not in (*MEASURED, "scoring_seconds", "eviction_seconds")]
    return sorted(json.dumps(r, sort_keys=True, default=str) for r in kept)


def test_rows_are_the_same_and_every_sound_is_rendered_once(experiment, tmp_path, monkeypatch) -> None:
    count: dict[str, int] = {}
    render = FileInputs.render

    def counted(self, rate):
        count[self.entry.id] = count.get(self.entry.id, 0) + 1
        return render(self, rate)

    monkeypatch.setattr(FileInputs, "render", counted)
    alone = run(experiment, into=tmp_path / "alone", settings=Settings(share=False))
    assert alone.n_failed == 0
    assert set(count.values()) == {2 * len(NAMES)}  # two conditions
    count.clear()
    run(experiment, into=tmp_path / "shared")
    assert set(count.values()) == {2}
    assert rows(tmp_path / "alone") == rows(tmp_path / "shared")
    store = Results.open(tmp_path / "shared")
    took: dict[tuple[str, str], set[float]] = {}
    cells = {c.cell: c.condition for c in store.cells()}
    for r in store.rows(metrics=["seconds_encoder"]).to_pylist():
        took.setdefault((r["item"], cells[r["cell"]]), set()).add(r["value"])
    assert {len(v) for v in took.values()} == {1}  # every setting shows what the encoder took when it ran


def test_two_workers_and_a_second_call_agree(experiment, tmp_path) -> None:
    first = run(experiment, into=tmp_path / "one", limit=3)
    more = run(experiment, into=tmp_path / "one")
    assert (first.n_done, more.n_done) == (3 * 8, 9 * 8)
    two = run(experiment, into=tmp_path / "two", workers=2)
    assert two.complete
    assert rows(tmp_path / "one") == rows(tmp_path / "two")
