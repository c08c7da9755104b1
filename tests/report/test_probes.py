"""The section on probes, over a real run of two encoders and a twin."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from otoscope import run
from otoscope.core.naming import parse_spec
from otoscope.experiments.experiment import Block as Grid
from otoscope.experiments.experiment import Experiment
from otoscope.report.chapters import headline_of
from otoscope.report.page import render
from otoscope.report.run import Run
from otoscope.report.section import Block, Findings, Fold, Panels, Table
from otoscope.report.sections.probes.section import probes
from otoscope.report.sections.probes.tasks import _commonest, _square
from otoscope.results.store import Results
from otoscope.tasks.probes.study import Study

TASKS = ("probes/voices:probes=xares-mlp knn-cosine,seeds=0 1", "probes/notes:probes=xares-mlp knn-cosine,seeds=0 1")


def ran(folder: Path, models: Sequence[str]) -> Run:
    specs = lambda names: tuple(map(parse_spec, names))  # noqa: E731
    summary = run(Experiment("e", (Grid(specs(TASKS)),), models=specs(models)), into=folder)
    assert summary.n_failed == 0
    return Run.read(Results.open(folder))


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return ran(tmp_path_factory.mktemp("probes") / "run", ("logmel", "random-conv:seed=1"))


def blocks(found: Sequence[Block]) -> Iterator[Block]:
    for block in found:
        yield block
        if isinstance(block, Fold):
            yield from blocks(block.blocks)


def test_who_is_better_is_said_with_intervals_and_drawn(both: Run) -> None:
    found = {s.id: list(blocks(s.blocks)) for s in probes(both)}
    assert list(found) == ["versus", "scores", "averages", "by-task"]
    assert both.store is not None
    study = Study(both.store)
    (finding,) = next(b for b in found["versus"] if isinstance(b, Findings)).items
    assert finding.model == "random-conv:seed=1 against logmel"
    whole = next(v for v in study.versus if v.domain == "all")
    assert whole.difference.value is not None
    assert finding.figure.replace("−", "-") == f"{whole.difference.value:+.3f}"
    drawn = [b for b in found["versus"] if isinstance(b, Panels)]
    assert [b.id for b in drawn] == ["versus0", "versus1"]
    table = next(b for b in found["versus"] if isinstance(b, Table))
    assert len(table.rows) == len(study.versus) == 6  # two probes; speech, music, all
    page = render(both)
    assert page == render(both)


def test_every_score_and_average_is_there(both: Run) -> None:
    found = {s.id: list(blocks(s.blocks)) for s in probes(both)}
    captions = [b.caption for b in found["scores"] if isinstance(b, Table)]
    assert captions == ["Scores, knn-cosine", "Scores, xares-mlp"]
    averages = next(b for b in found["averages"] if isinstance(b, Table))
    named = {(row[0], row[2]) for row in averages.rows}
    assert {("identity", "macro"), ("chance", "music"), ("relative", "speech")} <= named
    ranks = next(b for b in found["averages"] if isinstance(b, Table) and b.caption == "Ranks")
    assert len(ranks.rows) >= 3
    of_tasks = [b for b in found["by-task"] if isinstance(b, Table) and b.caption == "Scores"]
    assert len(of_tasks) == 2
    seeds = {cell.sub for row in of_tasks[0].rows if not isinstance(cell := row[3], str)}
    assert "2 seeds" in seeds


def test_the_headline_has_a_number_and_its_interval(both: Run, tmp_path: Path) -> None:
    found = headline_of(both)
    assert found.sentence.startswith("random-conv:seed=1 minus logmel, mean over 2 tasks: ")
    assert "by knn-cosine (p " in found.sentence
    assert "by xares-mlp (p " in found.sentence
    alone = headline_of(ran(tmp_path / "one", ("logmel",)))
    assert (alone.verdict, alone.sentence) == ("scores", "logmel was read on 2 tasks; nothing was compared.")


def test_what_a_mix_of_layers_weighs_is_shown(tmp_path: Path) -> None:
    task = parse_spec("probes/voices:probes=layer-mix xares-mlp,seeds=0,min_steps=30")
    run(Experiment("e", (Grid((task,)),), models=(parse_spec("tiny-wav2vec2:layer=all"),)), into=tmp_path / "run")
    section = next(s for s in probes(Run.read(Results.open(tmp_path / "run"))) if s.id == "by-task")
    table = next(b for b in blocks(section.blocks) if isinstance(b, Table) and "layer-mix" in b.caption)
    assert table.header == ["model", "0", "1", "2", "3", "4"]
    assert sum(float(c.text) for c in table.rows[0] if not isinstance(c, str)) == pytest.approx(1, abs=0.03)
    curves = [b for b in blocks(section.blocks) if isinstance(b, Panels)]
    assert [b.id for b in curves] == ["task0-xares-mlp"]


def test_confusions_of_few_classes_are_a_table_and_of_many_the_commonest() -> None:
    counts = np.array([[8, 2], [0, 5]])
    square = _square(["a", "b"], counts, "m")
    assert [getattr(c, "text", c) for c in square.rows[0]] == ["1 a", "8", "2"]
    assert [getattr(c, "tint", None) for c in square.rows[0]] == [None, 0.8, -0.2]
    common = _commonest(["a", "b"], counts, "m")
    assert [[getattr(c, "text", c) for c in row] for row in common.rows] == [["a", "b", "2"]]
    assert "1 of 2 classes" in common.caption
    none = _commonest(["a"], np.array([[3]]), "m")
    assert len(none.rows) == 1
