"""Audio language models through the runner: AudioMarathon's tasks on a small random checkpoint."""

from __future__ import annotations

from pathlib import Path

import pytest
from audiolm_fixtures import build, model, written  # noqa: F401

from otoscope import run
from otoscope.core.naming import parse_spec
from otoscope.experiments.ask_generate import keep_reply, output_key, reply_of
from otoscope.experiments.ask_separate import InMemory, timing_key
from otoscope.experiments.experiment import Block, Experiment
from otoscope.experiments.scores import findings_of, scores_of
from otoscope.results.store import Results
from otoscope.tasks.audiomarathon.miniature import read_pool, write
from otoscope.tasks.catalogue import resolve_task


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("marathon")
    write(folder, read_pool(None, "test", seeds=2), n=3, scale=0.02, seed=1)
    return folder


def test_a_run_with_a_pruner_its_scores_and_its_rescoring(written, data, tmp_path) -> None:  # noqa: F811
    task, name = f"audiomarathon/sgr:data={data}", str(written("audioflamingo3"))
    specs = lambda *names: tuple(map(parse_spec, names))  # noqa: E731
    exp = Experiment(
        "a",
        (Block(specs(task), specs("intact", "audio-blind", "shuffled-audio", "crop:seconds=1")),),
        models=specs(name),
        interventions=specs("none", "prune/frame:keep=0.5"),
    )
    summary = run(exp, into=tmp_path / "run")
    assert (summary.n_done, summary.n_failed) == (24, 0)
    scores = scores_of(tmp_path / "run", n_resamples=50)
    kept = [s.value for s in scores if s.metric == "kept_audio_share" and s.condition == "intact"]
    assert kept == [pytest.approx(0.5, abs=0.05)]
    assert all(s.n_unparsed >= 0 for s in scores)
    assert findings_of(tmp_path / "run", scores)
    known = resolve_task(task)
    rows = Results.open(tmp_path / "run").rows().to_pylist()
    items = {i.id: i for i in known.items()}
    for row in rows:
        if row["metric"] == "chosen" and row["raw"] is not None:
            again = {r.metric: r.value for r in known.rescore(items[row["item"]], row["raw"])}
            assert again["chosen"] == row["value"]


def test_a_kept_reply_comes_back_whole(model, data) -> None:  # noqa: F811
    lm, task = model("audioflamingo3"), resolve_task(f"audiomarathon/sgr:data={data}")
    from otoscope.core.nouns import Prompt

    item = task.items()[0]
    prompt = Prompt("What?", (item.inputs.render(16_000)["clip"],))
    reply = lm.generate([prompt], 5)[0]
    kept, key = InMemory(), output_key(lm, prompt, 5)
    keep_reply(reply, key, kept)
    back = reply_of(kept.output(key), kept.output(timing_key(key)))
    for name in reply.__dataclass_fields__:
        assert getattr(back, name) == getattr(reply, name), name
    assert output_key(lm, prompt, 6) != key
