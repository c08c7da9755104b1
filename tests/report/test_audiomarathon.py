"""The section on AudioMarathon, over a real run of a small random model under pruners, one of them fitted."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from audiolm_fixtures import build, written  # noqa: F401

from otoscope import run
from otoscope.core.errors import UsageError
from otoscope.core.naming import parse_spec
from otoscope.experiments.experiment import Block, Experiment
from otoscope.report.chapters import headline_of
from otoscope.report.page import render
from otoscope.report.run import Run
from otoscope.report.section import Fold, Panels, Table
from otoscope.report.sections.audiomarathon.heads import atlases
from otoscope.report.sections.audiomarathon.section import audiomarathon
from otoscope.results.scoring import Score
from otoscope.results.store import Results
from otoscope.tasks.audiomarathon.kinds import KINDS
from otoscope.tasks.audiomarathon.miniature import read_pool, write
from otoscope.tasks.audiomarathon.study import BASELINE, Study, settings
from otoscope.tasks.catalogue import resolve_task

NAMES = (
    "none", "prune/random:keep=0.5", "prune/random:keep=0.5,seed=1", "prune/frame:keep=1", "prune/frame:keep=0.5",
    "headrouter:keep=0.5", "head-atlas", "knock-heads:share=0.25,which=responsive",
)  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("marathon")
    write(folder, read_pool(None, "test", seeds=2), n=11, scale=0.02, seed=1)
    return folder


@pytest.fixture(scope="module")
def store(written, data, tmp_path_factory) -> Results:  # noqa: F811
    specs = lambda *names: tuple(map(parse_spec, names))  # noqa: E731
    model = specs(str(written("audioflamingo3")))
    tasks = specs(*(f"audiomarathon/{t}:data={data},part=test" for t in ("scr", "sed")))
    learn = specs(*(f"audiomarathon/{t}:data={data},part=calibration" for t in ("scr", "sed")))
    blocks = (
        Block(tasks, interventions=specs(*NAMES)),
        Block(tasks, specs("audio-blind"), interventions=specs("none")),
    )
    folder = tmp_path_factory.mktemp("run") / "run"
    summary = run(Experiment("headrouter", blocks, models=model, fit_on=learn, limit=4), into=folder)
    assert summary.n_failed == 0
    return Results.open(folder)


def test_parts_share_no_group(data) -> None:
    for key in KINDS:
        groups = [
            {i.group for i in resolve_task(f"audiomarathon/{key}:data={data},part={p}").items()}
            if p == "all" or key in ("scr", "sed")
            else set()
            for p in ("all", "test", "calibration")
        ]
        assert not groups[1] & groups[2]
        if key in ("scr", "sed"):
            assert groups[1] | groups[2] == groups[0]
    with pytest.raises(UsageError, match="part"):
        resolve_task("audiomarathon/scr:part=most")


def test_a_profile_is_fitted_by_domain_and_kept(store) -> None:
    (cell,) = {c.intervention: c for c in store.cells() if c.intervention.startswith("headrouter")}.values()
    fit = json.loads(cell.identity)["fit"]
    assert fit["learns"]["class"] == "head-profile"
    rows = store.rows(cells=[cell.cell], metrics=["alpha_semantic", "alpha_acoustic", "alpha_mixed"]).to_pylist()
    by: dict[str, float] = {}
    for r in rows:
        by[r["item"]] = by.get(r["item"], 0.0) + r["value"]
    assert list(by.values()) == [pytest.approx(1.0)] * 4


def test_the_bare_cache_is_what_a_pruner_that_keeps_all_measures(store) -> None:
    cells = {(c.task, c.intervention): c.cell for c in store.cells() if c.condition == "intact"}
    for task in {t for t, _ in cells}:
        sides = []
        for name in ("none", "prune/frame:keep=1"):
            rows = store.rows(cells=[cells[task, name]], metrics=["cache_bytes"]).to_pylist()
            sides.append({r["item"]: r["value"] for r in rows})
        assert sides[0] == sides[1]
        assert len(sides[0]) == 4


def test_the_page_has_costs_fronts_differences_and_the_published_rows(store) -> None:
    found = {s.id: s for s in audiomarathon(Run.read(store))}
    assert list(found)[:7] == ["quality", "front", "paired", "heads", "kept", "controls", "published"]
    table = next(b for b in found["quality"].blocks if isinstance(b, Table))
    assert [row[0] for row in table.rows] == list(NAMES)
    assert {"semantic", "acoustic", "unparsed (%)", "cache (MB)", "first token (s)"} <= set(table.header)
    folded = [b for f in found["quality"].blocks if isinstance(f, Fold) for b in f.blocks if isinstance(b, Table)]
    assert {"load (ms)", "encoder (ms)", "prefill (ms)", "peak, load (MB)", "peak, decode (MB)"} <= set(
        folded[0].header
    )
    assert folded[0].rows[0][1].sub.startswith("p90 ")
    inner = [b for f in found["front"].blocks if isinstance(f, Fold) for b in f.blocks]
    assert [b.caption for b in inner if isinstance(b, Table)] == [
        "Accuracy at fixed latency",
        "Latency at fixed accuracy",
    ]
    kept = [b for f in found["paired"].blocks if isinstance(f, Fold) for b in f.blocks if isinstance(b, Panels)]
    assert [e.label for e in kept[0].legend] == ["prune/frame"]  # the only one with two kept shares
    maps = next(b for b in found["heads"].blocks if isinstance(b, Panels))
    assert maps.titles == [
        f"{x}, {d} tasks" for x in ("responsiveness", "selectivity") for d in ("semantic", "acoustic")
    ]
    page = render(Run.read(store))
    assert "Gemini-2.5-Flash-Lite" in page
    assert page == render(Run.read(store))
    assert "on average over 2 tasks" in headline_of(Run.read(store)).sentence


def test_differences_are_those_of_the_rows(store) -> None:
    study = Study(store)
    (where,) = [w for w in study if w[1] == "intact"]
    values: dict[tuple[str, str, str], float] = {}
    cells = {c.cell: (c.task.partition(":")[0][-3:], c.intervention) for c in store.cells() if c.condition == "intact"}
    for r in store.rows(metrics=["correct"]).to_pylist():
        if r["cell"] in cells:
            values[(*cells[r["cell"]], r["item"])] = 100 * r["value"]
    for name, paired in study.pairs[where].items():
        for task in ("scr", "sed"):
            mine = [v - values[task, "none", i] for (t, n, i), v in values.items() if (t, n) == (task, name)]
            assert paired.of(task)[0] == pytest.approx(np.mean(mine))
    families = study.families(where)
    both = [study.pairs[where][n].of("scr")[0] for n in NAMES[1:3]]
    assert families["prune/random"][0.5].of("scr")[0] == pytest.approx(np.mean(both))
    same = families["prune/frame"][1.0]
    assert [same.of(t)[0] for t in ("scr", "sed")] == [0.0, 0.0]


def test_the_atlas_is_the_mean_over_items_and_changes_nothing(store) -> None:
    cells = {c.task.partition(":")[0][-3:]: c.cell for c in store.cells() if c.intervention == "head-atlas"}
    (maps,) = atlases(store).values()
    for task, domain in (("scr", "semantic"), ("sed", "acoustic")):
        rows = store.rows(cells=[cells[task]], metrics=["selectivity.2.1", "same_answer"]).to_pylist()
        values = [r["value"] for r in rows if r["metric"] == "selectivity.2.1"]
        assert len(values) == 4
        assert maps["selectivity", domain][2, 1] == pytest.approx(np.mean(values))
        assert {r["value"] for r in rows if r["metric"] == "same_answer"} == {1.0}


def _score(task: str, intervention: str, metric: str, value: float) -> Score:
    return Score(f"audiomarathon/{task}", "intact", "m", intervention, metric, {}, value, value - 1, value + 1, 9, 9)


def test_bounds_and_fronts_by_hand() -> None:
    told = {"none": (60.0, 1.0), "a": (59.0, 0.6), "b": (50.0, 0.5), "c": (40.0, 0.7)}
    scores = [
        _score(t, name, metric, v)
        for name, (score, seconds) in told.items()
        for t in ("scr", "sed")
        for metric, v in (("score", score), ("score_official", score / 2), ("seconds_first_token", seconds))
    ]
    (s,) = settings(scores)
    assert s.bare is not None
    assert s.bare.intervention == BASELINE
    assert [x.intervention for x in s.front()] == ["b", "a", "none"]
    assert [getattr(s.best_within(b), "intervention", None) for b in (0.4, 0.5, 0.6, 1.0)] == [None, "b", "a", "none"]
    assert [getattr(s.fastest_above(f), "intervention", None) for f in (1.0, 0.95, 0.8)] == ["none", "a", "b"]
    assert s.relative(s.lines[2]) == pytest.approx(100 * 50 / 60)
    assert s.bare.mean() == pytest.approx((60.0, 60 - np.sqrt(2) / 2, 60 + np.sqrt(2) / 2))
