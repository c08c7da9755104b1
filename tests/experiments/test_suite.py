"""Suites: their files, and a run of one from the command line, interrupted, damaged and again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from otoscope.core.errors import InputError, StoreError, UsageError
from otoscope.experiments.experiment import named_experiments
from otoscope.experiments.suite import Part, Suite, find_suite, named_suites, parse_suite, record, runs_of

TOY = Path(__file__).parents[1] / "resume" / "toy.py"
EXPERIMENT = """title = "{title}"
[presets.a]
models = ["file:{toy}#ToyEncoder"]
[[presets.a.grid]]
tasks = ["file:{toy}#ToyTask:n={n}"]
"""


@pytest.fixture
def suite(tmp_path):
    for name, n in (("one", 4), ("two", 6)):
        (tmp_path / f"{name}.toml").write_text(EXPERIMENT.format(title=f"Toy {name}", toy=TOY, n=n))
    path = tmp_path / "both.toml"
    parts = "".join(f'[[parts]]\nname = "{n}"\nexperiment = "{n}.toml"\n' for n in ("one", "two"))
    path.write_text(f'title = "Two <toys>"\n{parts}')
    return path


def otoscope(*args):
    found = subprocess.run(
        [sys.executable, "-m", "otoscope", *map(str, args)],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
        timeout=240,
    )
    assert "Traceback" not in found.stderr, found.stderr
    return found


@pytest.mark.parametrize("name", sorted(named_suites()))
def test_parts_of_the_suites_that_come_with_the_package_can_be_expanded(name):
    assert name not in named_experiments()
    suite = find_suite(name)
    assert suite is not None
    assert all(part.load(limit=1).cells() for part in suite.parts)


def test_an_experiment_is_no_suite(suite):
    assert find_suite("bmld") is None
    assert find_suite("no-such-thing") is None
    assert find_suite(str(suite.parent / "one.toml")) is None
    assert [p.name for p in find_suite(str(suite)).parts] == ["one", "two"]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"parts": []}, "no parts"),
        ({"parts": [{"name": "a"}]}, "lacks experiment"),
        ({"parts": [{"name": "../a", "experiment": "bmld"}]}, "no name for a part"),
        ({"parts": [{"name": "a", "experiment": "bmld"}] * 2}, "two parts"),
        ({"parts": [{"name": "a", "experiment": "bmld", "presets": "x"}]}, "unknown key 'presets'"),
    ],
)
def test_a_bad_file_says_what_is_wrong(table, said, tmp_path):
    with pytest.raises(InputError, match=said):
        parse_suite(table, name="x", where=tmp_path / "x.toml")


def test_only_parts_that_are_there_can_be_chosen():
    suite = Suite("s", "S", (Part("a", "bmld"), Part("b", "bmld")))
    assert [p.name for p in suite.select(["b"])] == ["b"]
    assert suite.select([]) == list(suite.parts)
    with pytest.raises(UsageError, match="It has: a, b"):
        suite.select(["c"])


def test_a_directory_without_runs_is_no_page(tmp_path):
    assert runs_of(tmp_path) is None
    record(Suite("s", "S", (Part("a", "bmld"),)), tmp_path)
    with pytest.raises(StoreError, match="no part"):
        runs_of(tmp_path)
    (tmp_path / "suite.json").write_text("{")
    with pytest.raises(StoreError, match="JSON"):
        runs_of(tmp_path)


def test_a_suite_runs_part_by_part_and_again(suite, tmp_path):
    into = tmp_path / "runs"
    first = otoscope("run", suite, "--part", "two", "--into", into, "--json")
    assert first.returncode == 0, first.stderr
    told = json.loads(first.stdout)
    assert (told["items"], [s["study"] for s in told["studies"]]) == (6, ["Toy two"])
    both = otoscope("run", suite, "--into", into)
    assert both.returncode == 0, both.stderr
    assert "10 of 10 items done, 0 failed" in both.stdout
    assert "already done" in both.stdout
    assert both.stdout.strip().endswith(f"report: {into / 'report.html'}")
    page = (into / "report.html").read_text(encoding="utf-8")
    assert "Two &lt;toys&gt;" in page
    assert 'id="study2-made"' in page
    again = otoscope("report", into, "--out", tmp_path / "again.html")
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "again.html").read_text(encoding="utf-8") == page
    pair = otoscope("report", into / "two", into / "two", "--out", tmp_path / "pair.html", "--title", "Twice")
    assert pair.returncode == 0, pair.stderr
    assert "Twice" in (tmp_path / "pair.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--model", "logmel"], "--model cannot be put to the suite"),
        (["--part", "three"], "It has: one, two"),
        (["--preset", "a"], "suite of several"),
        (["--dry-run"], "suite of several"),
    ],
)
def test_what_makes_no_sense_for_a_suite_is_refused(suite, tmp_path, more, said):
    found = otoscope("run", suite, "--into", tmp_path / "runs", *more)
    assert found.returncode == 2
    assert said in found.stderr


def test_a_part_of_an_experiment_and_a_page_without_a_place_are_refused(suite, tmp_path):
    assert "Choose with --task" in otoscope("run", suite.parent / "one.toml", "--part", "x").stderr
    assert "needs a place" in otoscope("report", tmp_path, tmp_path).stderr
