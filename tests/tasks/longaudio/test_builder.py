"""A built benchmark: what is said to be heard is heard, shorter versions lie inside longer ones, options balance."""

from __future__ import annotations

import itertools
import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from otoscope.audio import io
from otoscope.cli import cli
from otoscope.core.errors import InputError, UsageError
from otoscope.tasks.catalogue import resolve_task
from otoscope.tasks.longaudio.benchmark import read_benchmark
from otoscope.tasks.longaudio.builder import MANIFEST, Plan, build
from otoscope.tasks.longaudio.families import FAMILIES
from otoscope.tasks.longaudio.material import Material, divide, read_material
from otoscope.tasks.longaudio.own import own_sources
from otoscope.tasks.longaudio.timeline import Acoustics, Part, lay, response

LENGTHS = (12.0, 20.0, 30.0)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("build") / "long"
    found = build(Plan(lengths_s=LENGTHS, items=4, train_items=2), folder)
    assert not found.left_out
    return folder


@pytest.fixture(scope="module")
def lines(built: Path) -> list[dict[str, Any]]:
    return [json.loads(x) for x in (built / MANIFEST).read_text().splitlines()]


def test_every_family_has_its_items_at_every_length(lines) -> None:
    per = Counter((x["family"], x["split"], x["seconds"]) for x in lines)
    for key in FAMILIES:
        questions = 5 if key == "hops" else 1
        for seconds in LENGTHS:
            assert (per[key, "test", seconds], per[key, "train", seconds]) == (4 * questions, 2 * questions)
    for x in lines:
        options = FAMILIES[x["family"]].options
        assert len(set(x["options"])) == len(x["options"]) == options
        assert not options or x["answer"] in x["options"]


def test_no_source_and_no_group_is_in_two_splits(lines) -> None:
    used, groups = defaultdict(set), defaultdict(set)
    of = {s.id: s.group for s in own_sources()}
    for x in lines:
        used[x["split"]] |= set(x["sources"])
        groups[x["split"]] |= {of[s] for s in x["sources"]}
    assert used["test"]
    assert used["train"]
    assert not used["test"] & used["train"]
    assert not groups["test"] & groups["train"]


def test_a_shorter_version_lies_inside_the_longer_one(built, lines) -> None:
    by = defaultdict(dict)
    for x in lines:
        by[x["base_id"]][x["seconds"]] = x
    for versions in by.values():
        short, long = versions[LENGTHS[0]], versions[LENGTHS[-1]]
        assert long["start_s"] <= short["start_s"]
        assert short["start_s"] + short["seconds"] <= long["start_s"] + long["seconds"] + 1e-6
        assert [short[k] for k in ("question", "options", "answer")] == [
            long[k] for k in ("question", "options", "answer")
        ]
        place = short["start_s"] / (LENGTHS[-1] - LENGTHS[0])
        assert place == pytest.approx(short["factors"]["position"], abs=1e-6)
        shift = short["start_s"] - long["start_s"]
        for h in short["heard"]:
            at = [g["start_s"] for g in long["heard"] if g["label"] == h["label"]]
            assert min(abs(t - h["start_s"] - shift) for t in at) < 0.002
    one = by[lines[0]["base_id"]]
    task = resolve_task(f"longaudio/{lines[0]['family']}:data={built}")
    items = {i.id: i for i in task.items()}
    short, long = (items[one[s]["id"]].inputs.render(16_000)["clip"].samples[0] for s in (LENGTHS[0], LENGTHS[-1]))
    start = round(one[LENGTHS[0]]["start_s"] * 16_000)
    np.testing.assert_array_equal(long[start : start + len(short)], short)


def test_answers_are_true_of_what_is_heard(lines) -> None:
    """From the labels and times of the manifest alone, at every length."""
    for x in lines:
        heard = [h["label"].replace("_", " ") for h in x["heard"]]
        if x["family"] == "presence":
            assert [heard.count(o) > 0 for o in x["options"]] == [o == x["answer"] for o in x["options"]]
        elif x["family"] == "counting":
            label = x["question"].split(": ")[1].rstrip("?")
            assert heard.count(label) == int(x["answer"])
        elif x["family"] == "first":
            at = {o: heard.index(o) for o in x["options"]}
            assert min(at, key=at.get) == x["answer"]
        elif x["family"] == "order":
            wanted = x["answer"].split(", ")
            assert [h for h in heard if h in wanted] == wanted
        elif x["family"] in ("needle", "recall"):
            said = [h["label"] for h in x["heard"] if h["role"] in ("needle", "digit")]
            words = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
            assert x["answer"] in (" ".join(said), words[int(said[0])])
        elif x["family"] == "hops":
            _check_hop(x, [h for h in x["heard"] if h["role"] in ("event", "digit")])
        elif x["family"] == "splice":
            assert ("made" in [h["role"] for h in x["heard"]]) == (x["answer"] == "Fake")


def _check_hop(x: dict[str, Any], core: list[dict[str, Any]]) -> None:
    words = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    told = [words[int(h["label"])] if h["role"] == "digit" else h["label"].replace("_", " ") for h in core]
    about = x["question"].split(": ")[-1].rstrip("?").split(". ")[0]
    hop = x["factors"]["hop"]
    if hop == "count":
        assert told.count(about) == int(x["answer"])
    elif hop == "number-after":
        assert told.count(about) == 1
        assert told[told.index(about) + 1] == x["answer"]
    elif hop == "sound-after":
        number = x["question"].split("number ")[1].rstrip("?")
        assert told[told.index(number) + 1] == x["answer"]
    else:
        second = [i for i, w in enumerate(told) if w == about][1]
        assert told[second + (1 if hop == "two" else 2)] == x["answer"]


def test_the_needle_lies_where_it_should(lines) -> None:
    for x in lines:
        if x["family"] == "needle":
            (needle,) = [h for h in x["heard"] if h["role"] == "needle"]
            free = x["seconds"] - (needle["end_s"] - needle["start_s"])
            assert needle["start_s"] / free == pytest.approx(x["factors"]["position"], abs=0.01)
            assert x["factors"]["depth_s"] == pytest.approx(x["seconds"] - needle["end_s"], abs=0.02)


def test_right_options_stand_everywhere_equally_often(lines) -> None:
    for key in ("presence", "needle", "first", "recall"):
        at = Counter(
            x["options"].index(x["answer"])
            for x in lines
            if (x["family"], x["split"], x["seconds"]) == (key, "test", LENGTHS[0])
        )
        assert sorted(at.values()) == [1, 1, 1, 1], key
    for key in ("change", "splice", "pitch"):
        at = Counter(x["answer"] for x in lines if (x["family"], x["split"], x["seconds"]) == (key, "test", LENGTHS[0]))
        assert sorted(at.values()) == [2, 2]


def test_the_same_again_is_the_same_and_an_interruption_is_gone_on_with(built, tmp_path, monkeypatch) -> None:
    plan = Plan(families=("needle", "presence"), lengths_s=(12.0, 16.0), items=2)
    told = []

    def stop(text: str) -> None:
        told.append(text)
        if len(told) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(plan, tmp_path / "a", stop)
    assert not (tmp_path / "a").exists()
    kept = {p.name: p.stat().st_mtime_ns for p in (tmp_path / ".a.part" / "audio").iterdir()}
    assert len(kept) == 2
    with pytest.raises(UsageError, match="another benchmark"):
        build(Plan(families=("needle",), lengths_s=(12.0, 16.0), items=2), tmp_path / "a")
    build(plan, tmp_path / "a")
    build(plan, tmp_path / "b")
    after = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "a" / "audio").iterdir()}
    assert kept.items() <= after.items()
    for path in sorted((tmp_path / "b").rglob("*.*")):
        if path.is_file():
            assert path.read_bytes() == (tmp_path / "a" / path.relative_to(tmp_path / "b")).read_bytes()


def test_acoustics_do_what_they_say() -> None:
    sources = [s for s in own_sources() if s.kind == "event"][::12][:3]
    rng = np.random.default_rng(0)
    apart = lay(rng, [Part(s) for s in sources], 20, Acoustics(gap_s=1.0))
    assert all(b.start - a.end >= 16_000 for a, b in itertools.pairwise(apart))
    over = lay(rng, [Part(s) for s in sources], 20, Acoustics(overlap=0.5))
    for a, b in itertools.pairwise(over):
        assert a.end - b.start == pytest.approx(0.5 * min(len(a.sound), len(b.sound)), abs=2)
    assert over[-1].end <= 20 * 16_000
    room = response(0.4, 1)
    late = np.abs(room[4000:]).max() / np.abs(room).max()
    assert room[0] == pytest.approx(1.0)
    assert 0 < late < 0.1
    for wrong in ({"overlap": 1.0}, {"snr_db": 200.0}, {"rt60_s": 9.0}):
        with pytest.raises(UsageError):
            Acoustics(**wrong)
    with pytest.raises(InputError, match="do not fit"):
        lay(rng, [Part(s, whole=True) for s in sources], 5, Acoustics())


def test_noise_has_the_level_that_was_asked_for(tmp_path) -> None:
    plan = Plan(families=("needle",), lengths_s=(12.0,), items=1, acoustics=Acoustics(snr_db=20.0, density=1.0))
    build(plan, tmp_path / "n")
    line = json.loads((tmp_path / "n" / MANIFEST).read_text().splitlines()[0])
    x = io.read(tmp_path / "n" / line["file"]).samples[0]
    quiet = np.ones(len(x), bool)
    for h in line["heard"]:
        quiet[round(16_000 * h["start_s"]) : round(16_000 * h["end_s"]) + 1] = False
    assert 20 * np.log10(x[quiet].std()) == pytest.approx(-45.0, abs=0.2)


def test_own_recordings_in_folders_and_as_a_haystack(tmp_path) -> None:
    rng = np.random.default_rng(3)
    for name in ("a", "b", "c", "d", "e"):
        (tmp_path / "classes" / name).mkdir(parents=True)
        (tmp_path / "hay").mkdir(exist_ok=True)
        for i in range(2):
            from otoscope.core.audio import Audio

            sound = Audio(0.1 * rng.standard_normal((1, 16_000)).astype(np.float32), 16_000)
            io.write(tmp_path / "classes" / name / f"{i}.wav", sound)
            io.write(tmp_path / "hay" / f"{name}{i}.wav", sound)
    events = read_material([str(tmp_path / "classes")])
    assert Counter(s.label for s in events) == dict.fromkeys("abcde", 2)
    train, test = divide(events, 0.5, 1)
    assert {len(v) for m in (train, test) for v in m.of("event").values()} == {1}
    hay = str(tmp_path / "hay")
    with pytest.raises(UsageError, match="speakers who say all ten"):
        build(Plan(places=(hay,), families=("needle",), lengths_s=(12.0,)), tmp_path / "x")
    found = build(Plan(places=(hay, "package"), families=("needle",), lengths_s=(12.0,), items=2), tmp_path / "x")
    assert found.n_files == 2
    around = {h["role"] for s in read_benchmark(tmp_path / "x") for h in s.heard}
    assert around == {"needle", "around"}
    used = {s for x in (tmp_path / "x" / MANIFEST).read_text().splitlines() for s in json.loads(x)["sources"]}
    assert all(s.startswith(("haystack:", "digit:")) for s in used)
    assert Material(()).voices() == {}


def test_mistakes_at_the_command_line(built, tmp_path) -> None:
    def call(*args: str) -> str:
        found = CliRunner().invoke(cli, ["build", "long-audio", *args])
        assert found.exit_code != 0
        return f"{found.exception} {found.output}"

    assert "already" in call(str(built))
    assert "no such file" in call(str(tmp_path / "n"), "--from", str(tmp_path / "nowhere"))
    assert "needle" in call(str(tmp_path / "n"), "--family", "needl")
    assert "rise" in call(str(tmp_path / "n"), "--lengths", "30 10")
    assert "numbers" in call(str(tmp_path / "n"), "--lengths", "long")
