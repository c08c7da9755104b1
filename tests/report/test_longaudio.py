"""The section on long audio, over a real run of a model without a network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from otoscope import run
from otoscope.core.naming import parse_spec
from otoscope.experiments.experiment import Block, Experiment
from otoscope.report.chapters import headline_of
from otoscope.report.page import render
from otoscope.report.run import Run
from otoscope.report.section import Fold, Panels, Table
from otoscope.report.sections.longaudio.section import longaudio
from otoscope.results.store import Results
from otoscope.tasks.longaudio.builder import Plan, build
from otoscope.tasks.longaudio.study import Study, at_positions, by_depth, chains

TOY = f"file:{Path(__file__).parents[1] / 'helpers' / 'toy_audiolm.py'}#Toy"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Results:
    folder = tmp_path_factory.mktemp("long")
    build(Plan(families=("needle", "hops", "transcription"), lengths_s=(12.0, 18.0), items=10), folder / "data")
    tasks = tuple(parse_spec(f"longaudio/{f}:data={folder / 'data'}") for f in ("needle", "hops", "transcription"))
    conditions = tuple(map(parse_spec, ("intact", "audio-blind")))
    exp = Experiment("length-sweep", (Block(tasks, conditions),), models=(parse_spec(TOY),))
    summary = run(exp, into=folder / "run")
    assert summary.n_failed == 0
    return Results.open(folder / "run")


def test_the_page_has_length_needles_and_chains(store) -> None:
    found = longaudio(Run.read(store))
    assert [s.id for s in found][:3] == ["lengths", "needles", "hops"]
    figures = [b for f in found[0].blocks if isinstance(f, Fold) for b in f.blocks if isinstance(b, Panels)]
    assert [f.id for f in figures] == ["length-seconds", "length-tokens"]
    assert [len(f.panels) for f in figures] == [3, 3]
    table = next(b for b in found[0].blocks if isinstance(b, Table))
    assert len(table.rows) == 6
    assert len(next(b for b in found[1].blocks if isinstance(b, Panels)).panels) == 2
    page = render(Run.read(store))
    assert "faint is 0 %, dark 100 % found" in page
    assert page == render(Run.read(store))
    head = headline_of(Run.read(store))
    assert "From 12 to 18 s" in head.sentence


def test_figures_are_those_of_the_rows(store) -> None:
    """Against plain means and differences over the stored rows."""
    study = Study(store)
    (a,) = [a for a in study.of_family("needle") if a.condition == "intact"]
    rows = store.rows(metrics=["correct"]).to_pylist()
    cells = {c.cell for c in store.cells() if "needle" in c.task and c.condition == "intact"}
    value = {(r["base_id"], '"seconds":18.0' in r["factors"]): 100 * r["value"] for r in rows if r["cell"] in cells}
    bases = sorted({b for b, _ in value})
    assert len(bases) == 10
    for seconds, mean in a.by_length():
        assert mean.value == pytest.approx(np.mean([value[b, seconds == 18.0] for b in bases]))
    change = a.change(18.0)
    assert change is not None
    assert change.value == pytest.approx(np.mean([value[b, True] - value[b, False] for b in bases]))
    assert a.change(12.0) is None
    lengths, positions, grid = at_positions(a)
    assert (lengths, positions) == ([12.0, 18.0], [0.0, 0.25, 0.5, 0.75, 1.0])
    assert grid.mean() == pytest.approx(a.value.mean())  # as many items at every place
    depths = by_depth(a)
    assert [d for d, _ in depths] == sorted(d for d, _ in depths)
    assert sum(m.n for _, m in depths) == 20
    assert a.tokens_at(18.0) == 25 * 18
    (hops,) = [a for a in study.of_family("hops") if a.condition == "intact"]
    for chain in chains(hops):
        alone = {h: m.value / 100 for h, m in chain.alone.items()}
        assert set(alone) == {"count", "number-after", "sound-after", "two", "three"}
        assert chain.product["two"] == pytest.approx(100 * alone["count"] * alone["number-after"])
    (spoken,) = [a for a in study.of_family("transcription") if a.condition == "intact"]
    assert (spoken.value >= 0).all()
    assert spoken.value.max() <= 100
