"""Probe tasks through the runner: scores, seeds, failures, layers, and what enters an identity."""

from __future__ import annotations

import numpy as np
import pytest

from otoscope import run
from otoscope.core.naming import parse_spec
from otoscope.experiments.experiment import Block, Experiment
from otoscope.experiments.scores import scores_of
from otoscope.results.store import Results
from otoscope.tasks.catalogue import TASKS, resolve_task
from otoscope.tasks.probes.catalog import xares_tasks
from otoscope.tasks.probes.miniature import write_miniature
from otoscope.tasks.probes.tars import read_shard


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("mini")
    for name in ("esc50", "vocalsound", "fsd50k"):
        write_miniature(xares_tasks()[name], root, n=12, n_classes=3, seconds=(0.3, 0.5))
    return root


def go(into, tasks, models=("logmel",), **more):
    specs = lambda names: tuple(map(parse_spec, names))  # noqa: E731
    summary = run(Experiment("p", (Block(specs(tasks)),), models=specs(models)), into=into, **more)
    return summary, {(s.task.split(":")[0], s.metric, *s.factors.values()): s for s in scores_of(into, n_resamples=200)}


def test_the_faithful_preset_runs_from_the_archives_as_they_are(root, tmp_path):
    names = [f"xares/{n}:data={root},protocol=xares-0.1.3" for n in ("esc50", "vocalsound", "fsd50k")]
    summary, scores = go(tmp_path, names)
    assert summary.complete
    assert summary.n_failed == 0
    for name in ("esc50", "vocalsound"):
        assert scores[f"xares/{name}", "score", "xares-mlp"].n in (60, 12)
        assert scores[f"xares/{name}", "score", "knn-xares"].value is not None
    assert ("xares/fsd50k", "score", "knn-xares") not in scores  # kNN is left out where the publication does
    assert scores["xares/fsd50k", "score", "xares-mlp"].n == 12
    assert not [k for k in scores if k[1] == "score_of_seed"]


def test_the_clean_preset_has_five_seeds_and_intervals(root, tmp_path):
    _, scores = go(tmp_path, [f"xares/vocalsound:data={root},min_steps=30"], models=["logmel", "tiny-wav2vec2"])
    score = scores["xares/vocalsound", "score", "mlp"]
    assert score.ci_low < score.value < score.ci_high
    seeds = [s.value for k, s in scores.items() if k[1:3] == ("score_of_seed", "mlp")]
    assert len(seeds) == 5
    assert np.mean(seeds) == pytest.approx(score.value)


def test_every_layer_has_scores(root, tmp_path):
    task = f"xares/vocalsound:data={root},probes=knn-cosine"
    _, scores = go(tmp_path, [task], models=["tiny-wav2vec2:layer=all"])
    assert [k[3] for k in scores if k[1] == "score"] == [0, 1, 2, 3, 4]


def test_rows_hold_what_was_said(root, tmp_path):
    go(tmp_path, [f"xares/vocalsound:data={root},probes=knn-cosine"])
    rows = [r for r in Results.open(tmp_path).rows().to_pylist() if r["metric"] in ("score", "correct")]
    said = {r["item"]: r["raw"] for r in rows if r["metric"] == "score"}
    assert set(said.values()) <= set(xares_tasks()["vocalsound"].classes)
    right = {r["item"]: r["value"] for r in rows if r["metric"] == "correct"}
    truth = {i.id: i.target.labels[0] for i in resolve_task(f"xares/vocalsound:data={root}").items()}
    assert right == {i: float(said[i] == truth[i]) for i in said}


def test_a_clip_that_cannot_be_read_is_a_failed_item_and_no_other(root, tmp_path):
    write_miniature(xares_tasks()["vocalsound"], tmp_path, n=12, n_classes=3, seconds=(0.3,))
    path = tmp_path / "vocalsound" / "test000000.tar"
    sample = read_shard(path)[0]
    data = bytearray(path.read_bytes())
    data[sample.sound.offset : sample.sound.offset + 60] = b"\0" * 60
    path.write_bytes(bytes(data))
    summary, scores = go(tmp_path / "run", [f"xares/vocalsound:data={tmp_path},probes=knn-cosine"])
    assert summary.n_failed == 1
    score = scores["xares/vocalsound", "score", "knn-cosine"]
    assert (score.n, score.n_failed) == (11, 1)


def test_too_few_neighbours_leave_the_score_undefined_with_the_reason(tmp_path):
    write_miniature(xares_tasks()["vocalsound"], tmp_path, n=6, n_classes=2, seconds=(0.3,))
    summary, scores = go(tmp_path / "run", [f"xares/vocalsound:data={tmp_path},probes=knn-cosine linear"])
    assert summary.n_failed == 0
    assert scores["xares/vocalsound", "score", "knn-cosine"].value is None
    assert scores["xares/vocalsound", "score", "knn-cosine"].n_undefined == 6
    assert scores["xares/vocalsound", "score", "linear"].value is not None
    notes = {r["note"] for r in Results.open(tmp_path / "run").rows().to_pylist() if r["status"] == "undefined"}
    assert any("10 neighbours are asked for, and there are" in n for n in notes)


def test_the_first_items_are_a_sample_of_all_parts(root):
    parts = [i.target.part for i in resolve_task(f"xares/vocalsound:data={root}").items()[:15]]
    assert set(parts) == {"train", "valid", "test"}


def test_identity_is_of_what_is_computed(root):
    name = f"xares/vocalsound:data={root}"
    same = resolve_task(f"{name},seeds=0 1 2 3 4").identity()
    assert resolve_task(name).identity() == same
    for other in ("probes=linear", "seeds=1", "select_on=valid", "protocol=xares-0.1.3", "min_steps=7"):
        assert resolve_task(f"{name},{other}").identity() != same
    assert resolve_task(f"xares/esc50:data={root}").identity() != same


def test_probes_are_for_encoders(root):
    from otoscope.models.resolve import card_for

    task = resolve_task(f"xares/vocalsound:data={root}")
    assert "needs an encoder" in task.accepts(card_for("ec-durlach"))
    assert task.accepts(card_for("tiny-stereo")) is None


def test_all_22_have_names():
    assert {f"xares/{n}" for n in xares_tasks()} <= set(TASKS)
    assert resolve_task("xares/gtzan_genre").name == "xares/gtzan_genre"


@pytest.mark.parametrize("key", ["digits", "voices", "events", "scenes", "notes", "phrases"])
def test_the_packages_own_tasks_keep_groups_whole(key):
    found = resolve_task(f"probes/{key}").collection
    assert len({e.id for e in found.entries}) == len(found.entries)
    part = {}
    for e in found.entries:
        assert part.setdefault(e.group, e.part) == e.part
    for fold in found.parts:
        rest = {c for e in found.entries if e.part != fold for c in e.labels}
        assert {c for e in found.entries if e.part == fold for c in e.labels} <= rest
