"""What a run of probes says when it ends: averages, and models against each other by domain, paired by item."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from otoscope.experiments.experiment import load_experiment
from otoscope.experiments.runner import run
from otoscope.experiments.scores import findings_of
from otoscope.results.store import Results
from otoscope.tasks.probes.catalog import xares_tasks
from otoscope.tasks.probes.findings import averages_of, tables
from otoscope.tasks.probes.miniature import write_miniature
from otoscope.tasks.probes.normalise import Identity
from otoscope.tasks.probes.study import Study, published_key, task_key, weight_of

FAST = "probes=xares-mlp,seeds=0,min_steps=60"


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two tasks of two domains, two references and a subject."""
    folder = tmp_path_factory.mktemp("run")
    exp = load_experiment("encoders", "small").override(
        tasks=[f"probes/notes:{FAST}", f"probes/voices:{FAST}"], models=["tiny-wav2vec2:layer=all"]
    )
    run(exp, into=folder / "run")
    return folder / "run"


def test_the_run_ends_with_a_paired_comparison_per_domain(directory: Path) -> None:
    found = {title.split(":")[0]: (header, rows) for title, header, rows in findings_of(directory)}
    header, rows = found["Paired by item"]
    assert header[:4] == ["model", "minus", "probe", "domain"]
    assert [r[3] for r in rows] == ["speech", "music", "all"]
    assert {r[1] for r in rows} == {"logmel"}
    assert found["xares-mlp"][1]


def test_a_domains_difference_is_the_mean_of_its_tasks_and_pairs_items(directory: Path) -> None:
    study = Study(Results.open(directory))
    by = {v.domain: v for v in study.versus}
    assert by["all"].n == by["speech"].n + by["music"].n == 260
    mean = (by["speech"].difference.value + by["music"].difference.value) / 2
    assert by["all"].difference.value == pytest.approx(mean)
    points = {m: {p.domain: p.value for p in study.points[m, "xares-mlp"]} for m in study.models}
    other, base = by["music"].other, by["music"].baseline
    assert by["music"].difference.value == pytest.approx(points[other]["music"] - points[base]["music"])
    assert 0 < by["all"].p <= by["all"].p_holm <= 1
    assert by["all"].difference.low < by["all"].difference.value < by["all"].difference.high


def test_chance_and_the_true_class_are_kept_with_the_answers(directory: Path) -> None:
    study = Study(Results.open(directory))
    chance = {r.domain: r.chance for r in study.last}
    assert chance == {"speech": pytest.approx(0.5), "music": pytest.approx(0.1)}
    task = next(t for t in study.tasks if "voices" in t)
    names, counts = study.confusions(task, "logmel", "xares-mlp")
    assert len(names) == 2
    assert counts.sum() == 140
    assert counts.sum(axis=1).tolist() == [70, 70]
    accuracy = next(r.score for r in study.last if r.task == task and r.model == "logmel")
    assert np.trace(counts) / counts.sum() == pytest.approx(accuracy)


def test_layers_make_curves_and_the_last_one_is_compared(directory: Path) -> None:
    study = Study(Results.open(directory))
    curves = study.curves("xares-mlp")
    assert {m for _, m in curves} == {"tiny-wav2vec2:layer=all"}
    assert len(curves) == 2
    for (task, model), points in curves.items():
        assert len(points) > 1
        assert len({r.layer for r in study.last if r.model == model and r.task == task}) == 1


def test_averages_leave_out_what_is_the_same_by_construction(directory: Path) -> None:
    study = Study(Results.open(directory))
    names = [a.name for a in averages_of(study.points["logmel", "xares-mlp"], Identity())]
    assert names == ["macro", "speech", "music"]
    assert all(t[2] for t in tables(Results.open(directory)))


def test_x_ares_tasks_weigh_as_there_and_the_list_of_twenty_names_what_is_missing(tmp_path: Path) -> None:
    for name in ("esc50", "gtzan_genre"):
        write_miniature(xares_tasks()[name], tmp_path, n=8, seconds=(0.4,))
    exp = load_experiment("encoders", "sound").override(
        tasks=[f"xares/{n}:{FAST}" for n in ("esc50", "gtzan_genre")], data=str(tmp_path)
    )
    run(exp, into=tmp_path / "run")
    study = Study(Results.open(tmp_path / "run"))
    found = {a.name: a for a in averages_of(study.points["logmel", "xares-mlp"], Identity())}
    by = {published_key(p.task): p for p in study.points["logmel", "xares-mlp"]}
    wanted = (400 * by["esc50"].value + 100 * by["gtzan_genre"].value) / 500
    assert found["weighted"].value == pytest.approx(wanted)
    assert found["uniwhisper-20"].value == pytest.approx(wanted)
    assert len(found["uniwhisper-20"].left_out) == 18
    assert study.pairs == []


def test_names_of_tasks() -> None:
    assert task_key("xares/esc50:data=/somewhere,protocol=xares-0.1.3") == "xares/esc50:protocol=xares-0.1.3"
    assert task_key("probes/folder:data=/a/birds,label=x") == "probes/folder:data=birds,label=x"
    assert published_key("xares/esc50:protocol=clean") == "esc50"
    assert weight_of("xares/librispeech") == 10_000
    assert weight_of("probes/notes") == 1
