"""The tasks of a built benchmark, through the runner."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from otoscope import run
from otoscope.core.errors import InputError, UsageError
from otoscope.core.naming import parse_spec
from otoscope.core.nouns import Rescorable
from otoscope.experiments.experiment import Block, Experiment
from otoscope.experiments.rescore import rescore
from otoscope.experiments.scores import findings_of, scores_of
from otoscope.tasks.catalogue import resolve_task
from otoscope.tasks.longaudio.benchmark import read_benchmark
from otoscope.tasks.longaudio.builder import ABOUT, MANIFEST, Plan, build

TOY = f"file:{Path(__file__).parents[2] / 'helpers' / 'toy_audiolm.py'}#Toy"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("build") / "long"
    build(Plan(families=("needle", "hops", "transcription"), lengths_s=(12.0, 18.0), items=5), folder)
    return folder


def test_a_run_gives_scores_by_length_position_and_hop(built, tmp_path) -> None:
    tasks = tuple(parse_spec(f"longaudio/{f}:data={built}") for f in ("needle", "hops", "transcription"))
    conditions = tuple(map(parse_spec, ("intact", "audio-blind", "shuffled-audio")))
    exp = Experiment("l", (Block(tasks, conditions),), models=(parse_spec(f"{TOY}:fails_beyond_s=15"),))
    summary = run(exp, into=tmp_path / "run")
    assert summary.n_done == 3 * (10 + 50 + 10)
    assert summary.n_failed == 2 * (5 + 25 + 5)  # the longer ones, where there is sound
    scores = scores_of(tmp_path / "run", n_resamples=50)
    where = {(s.metric, s.factors.get("seconds"), s.factors.get("hops")) for s in scores if s.condition == "intact"}
    assert {("accuracy", 12.0, None), ("accuracy", 12.0, 3), ("wer", 12.0, None)} <= where
    at = [s for s in scores if s.metric == "recall_at" and s.condition == "intact" and s.factors["seconds"] == 12.0]
    assert sorted(s.factors["position"] for s in at) == [0.0, 0.25, 0.5, 0.75, 1.0]
    titles = [t for t, _, _ in findings_of(tmp_path / "run", scores)]
    assert len(titles) == 3
    again = rescore(tmp_path / "run", n_resamples=50)
    assert again.n_changed == 0
    assert list(again.scores) == scores


def test_items_are_a_task_and_lengths_share_their_base(built) -> None:
    task = resolve_task(f"longaudio/needle:data={built}")
    assert isinstance(task, Rescorable)
    items = task.items()
    assert [i.factors["seconds"] for i in items] == [12.0, 18.0] * 5
    assert all(a.base_id == b.base_id and a.id != b.id for a, b in zip(items[::2], items[1::2], strict=True))
    assert [i.factors["seconds"] for i in resolve_task(f"longaudio/needle:data={built},longest_s=12").items()] == [
        12.0
    ] * 5
    assert resolve_task(f"longaudio/needle:data={built},turn=none").turn == "none"
    for wrong in ("split=dev", "parser=official", "turn=all"):
        with pytest.raises(UsageError, match="there is no"):
            resolve_task(f"longaudio/needle:{wrong}")
    with pytest.raises(InputError, match="nothing of"):
        resolve_task(f"longaudio/needle:data={built},longest_s=3").items()
    with pytest.raises(InputError, match="no items of the family"):
        resolve_task(f"longaudio/first:data={built}").items()


def test_what_is_wrong_in_a_manifest_is_named(built, tmp_path) -> None:
    copy = Path(shutil.copytree(built, tmp_path / "copy"))
    rows = [json.loads(x) for x in (copy / MANIFEST).read_text().splitlines()]

    def say(**change: object) -> str:
        row = {k: v for k, v in {**rows[0], **change}.items() if v is not None}
        (copy / MANIFEST).write_text(json.dumps(row) + "\n")
        with pytest.raises(InputError) as e:
            read_benchmark(copy)
        return str(e.value)

    assert "line 1: lacks question" in say(question=None)
    assert "seconds has a value of the wrong kind" in say(seconds="long")
    assert "none of the options" in say(answer="no such")
    assert "not inside" in say(file="../x.flac")
    (copy / MANIFEST).write_text("{]\n")
    with pytest.raises(InputError, match="line 1: is not JSON"):
        read_benchmark(copy)
    about = json.loads((copy / ABOUT).read_text())
    (copy / ABOUT).write_text(json.dumps({**about, "version": 99}))
    with pytest.raises(InputError, match="version"):
        read_benchmark(copy)
    with pytest.raises(InputError, match="Build one"):
        read_benchmark(tmp_path)
