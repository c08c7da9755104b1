"""The published layout, the rules, the judge; and that what is not scored is no zero."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from otoscope import run
from otoscope.audio import io
from otoscope.core.audio import Audio
from otoscope.core.errors import InputError, UsageError
from otoscope.core.naming import parse_spec
from otoscope.experiments.experiment import Block, Experiment, load_experiment
from otoscope.experiments.rescore import rescore
from otoscope.experiments.scores import scores_of
from otoscope.results.store import Results
from otoscope.tasks.catalogue import resolve_task
from otoscope.tasks.mmaupro.layout import read_questions
from otoscope.tasks.mmaupro.rules import RULES, follows, sentences
from otoscope.tasks.mmaupro.task import read_choice

TOY = f"file:{Path(__file__).parents[2] / 'helpers' / 'toy_audiolm.py'}#Toy"
A, B = "data/a.wav", "data/b.wav"
FOLLOW = {"audio_path": [B], "category": "instruction following", "answer": ""}
ROWS = [
    {
        "id": "c1",
        "audio_path": [A],
        "question": "What?",
        "choices": ["a dog", "a cat"],
        "answer": "A cat",
        "category": "sound",
    },
    {
        "id": "c2",
        "audio_path": [A, B],
        "question": "Same?",
        "choices": [*"vwxyz", "six"],
        "answer": "six",
        "category": "multi",
    },
    {"id": "c3", "audio_path": ["data/gone.wav"], "question": "Lost?", "choices": ["x", "y"], "answer": "x"},
    {"id": "c4", "audio_path": [B], "question": "Odd?", "choices": ["x", "y"], "answer": "z", "category": "music"},
    {**FOLLOW, "id": "i1", "question": "Say much.", "task_identifier": "Number Words (at least)", "kwargs": {"N": 2}},
    {**FOLLOW, "id": "i2", "question": "Sing.", "task_identifier": "Sing", "kwargs": {}},
    {"id": "o1", "audio_path": [A], "question": "Why?", "answer": "because", "category": "open"},
]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    root = tmp_path / "mmau-pro"
    (root / "data").mkdir(parents=True)
    for i, name in enumerate(("a", "b")):
        x = 0.1 * np.random.default_rng(i).standard_normal((1, 16_000))
        io.write(root / "data" / f"{name}.wav", Audio(x.astype(np.float32), 16_000))
    (root / "test.jsonl").write_text("".join(json.dumps(r) + "\n" for r in ROWS))
    return root


def test_parquet_and_jsonl_read_alike_and_problems_are_told(data) -> None:
    found = read_questions(data)
    assert {q.id for q in found} == {r["id"] for r in ROWS}
    problems = {q.id: q.problem for q in found if q.problem}
    assert set(problems) == {"c3", "c4"}
    assert "gone.wav is missing" in problems["c3"]
    assert "none of its choices" in problems["c4"]
    other = data.parent / "other"
    (data / "data").rename(data / "kept")
    other.mkdir()
    (data / "kept").rename(other / "data")
    plain = [{**r, "kwargs": json.dumps(r.get("kwargs", {}))} for r in ROWS]
    pq.write_table(
        pa.Table.from_pylist([{k: r.get(k) for k in {k for x in plain for k in x}} for r in plain]),
        other / "test.parquet",
    )
    again = read_questions(other)
    assert [(q.id, q.kind, q.choices, q.gold, dict(q.settings)) for q in again] == [
        (q.id, q.kind, q.choices, q.gold, dict(q.settings)) for q in found
    ]
    with pytest.raises(InputError, match=r"has no test\.parquet"):
        read_questions(data / "nowhere")


@pytest.mark.parametrize(
    ("instruction", "settings", "good", "bad"),
    [
        ("Include Keywords", {"keywords": "dog, cat"}, "A Dog and a cat.", "A dog."),
        ("Keyword Frequency", {"keyword": "dog", "N": 2}, "Dog, dog!", "dogs dog"),
        ("Forbidden Words", {"forbidden_words": "dog"}, "a cat", "a dog"),
        ("Number Paragraphs", {"N": 2}, "one *** two", "one"),
        ("Number Words (range)", {"N1": 2, "N2": 3}, "one two", "one"),
        ("Number Sentences (at most)", {"N": 1}, "One.", "One. Two."),
        ("Postscript", {"postscript_marker": "P.S."}, "Yes. P.S. no", "Yes."),
        ("Number Placeholder", {"N": 1}, "at [place]", "at place"),
        ("Number Bullets", {"N": 2}, "* a\n* b", "* a"),
        ("Title", {}, "<<Rain>> it rains", "Rain"),
        ("Minimum Number Highlighted Section", {"N": 1}, "it is *loud*", "it is loud"),
        ("Multiple Sections", {"N": 2, "section_splitter": "##"}, "a ## b", "a"),
        ("Repeat Prompt", {}, "Say it, yes", "yes"),
        ("Two Responses", {}, "a ****** b", "a ****** a"),
        ("All Uppercase", {}, "YES", "Yes"),
        ("All Lowercase", {}, "yes", "Yes"),
        ("All-capital Words (at least)", {"N": 1}, "it is LOUD", "it is loud"),
        ("Start Checker", {"start_phrase": "Well then"}, "Well, then: yes", "Yes"),
        ("End Checker", {"end_phrase": "the end"}, "It is the end.", "The end is near"),
        ("Quotation", {}, '"yes"', "yes"),
        ("No Commas", {}, "yes and no", "yes, no"),
    ],
)  # fmt: skip
def test_rules(instruction, settings, good, bad) -> None:
    assert follows(instruction, good, settings, "say it") is True
    assert follows(instruction, bad, settings, "say it") is False


def test_what_has_no_rule_or_no_settings_is_not_judged() -> None:
    assert follows("Sing", "la", {}) is None
    assert follows("Number Bullets", "* a", {}) is None
    assert follows("Include Keywords", "a", {"keywords": ""}) is None
    assert follows("Repeat Prompt", "a", {}) is None
    assert sentences('He said "no." Then? Yes!') == 3
    assert all(name == name.casefold() for name in RULES)


@pytest.mark.parametrize(
    ("reply", "index"),
    [("B", 1), ("b) a cat", 1), ("a cat", 1), ("I hear a cat.", 1), ("The answer is (A)", 0), ("a wild cat", 2),
     ("a dog or a cat", None), ("none", None), ("", None), ("x" * 100_000, None)],
)  # fmt: skip
def test_choices_are_read(reply, index) -> None:
    assert read_choice(reply, ("a dog", "a cat", "a wild cat")) == index


def test_a_run_scores_what_can_be_scored_and_judges_later(data, tmp_path) -> None:
    tasks = tuple(parse_spec(f"mmau-pro/{k}:data={data}") for k in ("closed", "instructions", "open"))
    summary = run(Experiment("m", (Block(tasks),), models=(parse_spec(TOY),)), into=tmp_path / "run")
    assert (summary.n_done, summary.n_failed) == (7, 2)
    scores = {(s.metric, s.factors.get("category")): s for s in scores_of(tmp_path / "run", n_resamples=50)}
    assert (scores["correct", None].n, scores["correct", None].n_failed) == (2, 2)
    followed = scores["followed", None]
    assert (followed.value, followed.n, followed.n_undefined) == (1.0, 1, 1)  # "Sing" has no rule
    assert (scores["grade", None].value, scores["grade", None].n_undefined) == (None, 1)
    rows = {r["item"]: r for r in Results.open(tmp_path / "run").rows(metrics=["grade", "followed"]).to_pylist()}
    assert "needs a judge" in rows["o1"]["note"]
    assert "no rule for 'Sing'" in rows["i2"]["note"]
    judge = tmp_path / "judge.py"
    judge.write_text("def grade(question, reference, reply):\n    return 4 if question == 'Why?' and reply else None\n")
    found = rescore(_only(tmp_path / "run", "open", data), f"file:{judge}#grade", n_resamples=50)
    assert [(s.value, s.n) for s in found.scores if s.metric == "grade"] == [(4.0, 1)]


def _only(folder: Path, kind: str, data: Path) -> Path:
    """A run of one kind, as a user would make it."""
    into = folder.parent / f"only-{kind}"
    run(Experiment("m", (Block((parse_spec(f"mmau-pro/{kind}:data={data}"),)),), models=(parse_spec(TOY),)), into=into)
    return into


def test_grades_from_a_file_are_of_the_reply_that_was_graded(data, tmp_path) -> None:
    grades = tmp_path / "grades.jsonl"
    grades.write_text(json.dumps({"id": "o1", "reply": "one two three", "grade": 2}) + "\n")
    task = resolve_task(f"mmau-pro/open:data={data},judge={grades}")
    (item,) = task.items()
    assert [r.value for r in task.rescore(item, "one two three")] == [2.0]
    assert [(r.value, r.status) for r in task.rescore(item, "other")] == [(None, "undefined")]
    grades.write_text(json.dumps({"id": "o1", "reply": "x", "grade": 9}) + "\n")
    with pytest.raises(InputError, match="no grade from 1 to 5"):
        resolve_task(f"mmau-pro/open:data={data},judge={grades}").identity()


def test_mistakes_are_told(data) -> None:
    for wrong, said in (
        ("mmau-pro/closed", "needs a copy"),
        (f"mmau-pro/open:data={data},judge=nowhere", "no such file"),
    ):
        with pytest.raises(UsageError, match=said):
            resolve_task(wrong).identity()
    with pytest.raises(UsageError, match="only open answers"):
        resolve_task("mmau-pro/closed:judge=x")
    with pytest.raises(InputError, match="no questions of the kind"):
        resolve_task(f"mmau-pro/closed:data={data},category=speech").items()
    assert load_experiment("mmau-pro").grid[0].tasks[0].name == "mmau-pro/closed"
