"""Questions out, replies in: scored like an own run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from otoscope import run
from otoscope.audio import io
from otoscope.cli import cli
from otoscope.core.errors import InputError
from otoscope.core.naming import parse_spec
from otoscope.core.nouns import Prompt
from otoscope.experiments.experiment import Block, Experiment
from otoscope.experiments.predictions import import_predictions
from otoscope.experiments.scores import scores_of
from otoscope.models.resolve import load
from otoscope.report.page import write_report
from otoscope.results.store import Results
from otoscope.tasks.audiomarathon.miniature import read_pool, write

TOY = f"file:{Path(__file__).parents[1] / 'helpers' / 'toy_audiolm.py'}#Toy"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("marathon")
    write(folder, read_pool(None, "test", seeds=2), n=3, scale=0.02, seed=1)
    next((folder / "VESUS").rglob("*.wav")).unlink()
    return folder


def answers(folder: Path) -> list[dict[str, object]]:
    """What the toy says to a file of questions."""
    toy, found = load(TOY), []
    for line in (folder / "questions.jsonl").read_text().splitlines():
        row = json.loads(line)
        if "problem" in row:
            assert "missing" in row["problem"]
            continue
        prompt = Prompt(row["text"], tuple(io.read(folder / a) for a in row["audio"]), row["system"])
        (reply,) = toy.generate([prompt], row["max_new_tokens"])
        tokens = {"audio_tokens": reply.tokens.audio, "output_tokens": reply.tokens.output}
        found.append({"id": row["id"], "reply": reply.text, **tokens, "seconds": 0.5})
    return found


@pytest.mark.parametrize("key", ["er", "asr"])
def test_replies_from_elsewhere_get_the_scores_of_an_own_run(key, data, tmp_path) -> None:
    task = f"audiomarathon/{key}:data={data}"
    call = lambda *args: CliRunner().invoke(cli, ["data", *args], standalone_mode=False)  # noqa: E731
    assert "questions" in call("questions", task, "--into", str(tmp_path / "q")).output
    file = tmp_path / "replies.jsonl"
    file.write_text("".join(json.dumps(r) + "\n" for r in answers(tmp_path / "q")))
    found = call("import", str(file), "--task", task, "--name", "theirs", "--into", str(tmp_path / "theirs"))
    assert found.return_value == (1 if key == "er" else 0), found.output  # one sound is missing
    own = run(Experiment("o", (Block((parse_spec(task),)),), models=(parse_spec(TOY),)), into=tmp_path / "own")
    assert own.n_failed == (key == "er")
    wanted, got = ({s.metric: (s.value, s.n, s.n_failed) for s in scores_of(tmp_path / d, n_resamples=50)}
                   for d in ("own", "theirs"))  # fmt: skip
    for metric in ("score", "score_official", "unparsed_share", "audio_tokens", "output_tokens"):
        assert got[metric] == wanted[metric], metric
    assert got["seconds_request"][0] == 0.5
    assert got.get("cache_bytes", (None,))[0] is None
    assert write_report(tmp_path / "theirs").is_file()
    again = import_predictions(file, task, "theirs", tmp_path / "theirs")
    assert len(Results.open(again.directory).cells()) == 1


def test_what_cannot_be_used_is_named(data, tmp_path) -> None:
    task = f"audiomarathon/er:data={data}"
    file = tmp_path / "r.jsonl"
    for text, said in (
        ("{]", "line 1: is not JSON"),
        ('{"id": "x"}', "needs an id and a reply"),
        ('{"id": "x", "reply": "A", "seconds": -1}', "seconds is no number"),
        ('{"id": "x", "reply": "A"}\n{"id": "x", "reply": "B"}', "line 2: has a second reply"),
        ('{"id": "nobody", "reply": "A"}', "which audiomarathon/er"),
        ("", "holds no replies"),
    ):
        file.write_text(text)
        with pytest.raises(InputError, match=said):
            import_predictions(file, task, "t", tmp_path / "into")
    with pytest.raises(InputError, match="cannot be read"):
        import_predictions(tmp_path / "absent", task, "t", tmp_path / "into")
    assert not (tmp_path / "into").exists()


def test_an_empty_and_a_giant_reply_are_replies(data, tmp_path) -> None:
    task = f"audiomarathon/sgr:data={data}"
    from otoscope.tasks.catalogue import resolve_task

    items = resolve_task(task).items()
    file = tmp_path / "r.jsonl"
    texts = ["", "x" * 100_000, "A"]
    file.write_text("".join(json.dumps({"id": i.id, "reply": t}) + "\n" for i, t in zip(items, texts, strict=True)))
    found = import_predictions(file, task, "t", tmp_path / "into")
    assert (found.n_answered, found.n_missing) == (3, 0)
    scores = {s.metric: s for s in scores_of(tmp_path / "into", n_resamples=50)}
    assert scores["unparsed_share"].value == pytest.approx(200 / 3)
    assert scores["score"].n_unparsed == 2
