"""Audio language models through the runner: AudioMarathon's tasks on a small random checkpoint."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from audiolm_fixtures import build, model, written  # noqa: F401
from toy_audiolm import Toy

from otoscope import run
from otoscope.core.naming import parse_spec
from otoscope.experiments.ask_generate import keep_reply, output_key, reply_of
from otoscope.experiments.ask_separate import InMemory, timing_key
from otoscope.experiments.experiment import Block, Experiment
from otoscope.experiments.plan import Settings
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


def test_phases_are_told_with_loading_late_ones_and_peaks(written, data, tmp_path) -> None:  # noqa: F811
    specs = lambda *names: tuple(map(parse_spec, names))  # noqa: E731
    blocks = (Block(specs(f"audiomarathon/sgr:data={data}"), specs("intact", "audio-blind")),)
    exp = Experiment("a", blocks, models=specs(str(written("audioflamingo3"))), interventions=specs("none"))
    run(exp, into=tmp_path / "run")
    found = {(s.condition, s.metric): s for s in scores_of(tmp_path / "run", n_resamples=50)}
    for phase in ("load", "features", "encoder", "prefill", "decode"):
        middle, late = (found["intact", f"seconds_{phase}{end}"] for end in ("", "_p90"))
        assert 0 < middle.value <= late.value
        assert found["intact", f"peak_bytes_{phase}"].value > 1_000_000
    assert ("audio-blind", "seconds_load") not in found  # nothing was read
    record = Results.open(tmp_path / "run").experiment()["runs"][-1]
    assert (record["execution"]["warmup"], record["execution"]["repeats"]) == (1, 1)
    assert {"processor", "memory_bytes", "gpus", "packages"} <= set(record["environment"])


class Unsteady(Toy):
    """Takes another time at each call; ``fickle``: it also says something else."""

    def __init__(self, fickle: bool = False) -> None:
        super().__init__()
        self.fickle, self.warmed = fickle, 0

    def warm_up(self, times: int = 1) -> None:
        self.warmed += times

    def generate(self, prompts, max_new_tokens=256):
        (reply,) = super().generate(prompts, max_new_tokens)
        seconds = {"prefill": [5.0, 1.0, 3.0][self.calls % 3], "encoder": 1.0}
        return [replace(reply, text=f"{reply.text}{self.calls}" if self.fickle else reply.text, seconds=seconds,
                        peak_bytes={"prefill": self.calls % 3})]  # fmt: skip


def test_repeats_give_medians_and_a_model_is_warmed_up_once(data, tmp_path) -> None:
    blocks = (Block((parse_spec(f"audiomarathon/sgr:data={data}"),)),)
    exp = Experiment("a", blocks, models=(), interventions=(parse_spec("none"),))
    lm = Unsteady()
    summary = run(exp, into=tmp_path / "run", models=[lm], settings=Settings(warmup=2, repeats=3))
    rows = summary.results.rows(metrics=["seconds_prefill", "peak_bytes_prefill"]).to_pylist()
    assert [r["value"] for r in rows if r["metric"] == "seconds_prefill"] == [3.0] * 3
    assert [r["value"] for r in rows if r["metric"] == "peak_bytes_prefill"] == [2.0] * 3
    assert (lm.calls, lm.warmed) == (9, 2)
    summary = run(exp, into=tmp_path / "fickle", models=[Unsteady(True)], settings=Settings(repeats=2))
    assert summary.n_failed == 3
    notes = [r["note"] for r in summary.results.rows(columns=["note"]).to_pylist()]
    assert all("answers differently when it is asked 2 times" in n for n in notes)


def test_a_network_can_be_warmed_up(model) -> None:  # noqa: F811
    lm = model("audioflamingo3")
    seen: list[int] = []
    handle = lm.network.register_forward_hook(lambda *a: seen.append(1))
    lm.warm_up(2)
    handle.remove()
    assert len(seen) == 2
