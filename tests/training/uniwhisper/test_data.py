"""Records, the bank of instructions, mixtures and batches."""

from __future__ import annotations

import io as bytes_io
import itertools
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from hypothesis import given, settings
from hypothesis import strategies as st

from otoscope.audio import io
from otoscope.core.audio import Audio
from otoscope.core.errors import InputError, UsageError
from otoscope.training.uniwhisper.augment import Augment
from otoscope.training.uniwhisper.feed import Budget, Feed, FeedState
from otoscope.training.uniwhisper.mixture import Mixture, Source
from otoscope.training.uniwhisper.records import RATE, Record, Sound, read_records, write_records
from otoscope.training.uniwhisper.templates import Bank


def tone(n: int, hz: float = 440.0) -> np.ndarray:
    return (0.1 * np.sin(2 * np.pi * hz * np.arange(n) / RATE)).astype(np.float32)


def test_every_kind_of_sound_is_read(tmp_path: Path) -> None:
    x = tone(8_000)
    io.write(tmp_path / "a.wav", Audio(np.stack([x, 0 * x]), RATE))
    data = bytes_io.BytesIO()
    sf.write(data, x, RATE, format="FLAC", subtype="PCM_24")
    with tarfile.open(tmp_path / "shard.tar", "w") as archive:
        for name, content in (("0001.flac", data.getvalue()), ("0001.json", b"{}")):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, bytes_io.BytesIO(content))
    rows = [
        {"key": "whole", "task": "sound", "answer": "tone", "path": "a.wav", "duration_s": 0.5},
        {"key": "part", "task": "sound", "answer": "tone", "path": "a.wav", "start_s": 0.1, "duration_s": 0.2},
        {"key": "tar", "task": "sound", "answer": "tone", "tar": "shard.tar", "member": "0001.flac", "duration_s": 0.5},
        {"key": "made", "task": "sound", "answer": "rain", "duration_s": 0.5,
         "made": {"kind": "event", "label": "rain", "seed": 3}},
        {"key": "parts", "task": "asr", "answer": "a a", "duration_s": 1.2, "gaps_s": [0.2],
         "parts": [{"path": "a.wav"}] * 2},
    ]  # fmt: skip
    assert write_records(rows, tmp_path / "m.jsonl") == 5
    found = {r.key: r.sound.load() for r in read_records(tmp_path / "m.jsonl")}
    assert {k: len(v) for k, v in found.items()} == {
        "whole": 8_000, "part": 3_200, "tar": 8_000, "made": 8_000, "parts": 19_200,
    }  # fmt: skip
    np.testing.assert_allclose(found["whole"], x / 2, atol=1e-6)
    np.testing.assert_allclose(found["part"], x[1_600:4_800] / 2, atol=1e-6)
    np.testing.assert_allclose(found["tar"], x, atol=1e-6)
    assert not found["parts"][8_000:11_200].any()
    assert found["made"].std() > 0.01
    with pytest.raises(InputError, match=r"no member 'none\.flac'"):
        Sound(tar=tmp_path / "shard.tar", member="none.flac").load()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"answer": []}, "answer is neither"), ({"answer": " "}, "answer is neither"),
        ({"duration_s": 0}, "is not a length"), ({"duration_s": True}, "is not a length"),
        ({"path": "/a.wav"}, "not relative"), ({"tar": "x"}, "names 2 sounds"),
        ({"lable": "x"}, "unknown key 'lable'"), ({"task": 3}, "task is no text"), ({"key": "b"}, "is in line 1 too"),
    ],
)  # fmt: skip
def test_a_wrong_line_is_named(tmp_path: Path, change: dict[str, object], said: str) -> None:
    good = {"key": "b", "task": "sound", "answer": "rain", "path": "b.wav", "duration_s": 1.0}
    bad = {**good, "key": "c", **change}
    (tmp_path / "m.jsonl").write_text(json.dumps(good) + "\n" + json.dumps(bad) + "\n", encoding="utf-8")
    with pytest.raises(InputError, match=rf"m\.jsonl, line 2.*{said}|{said}.*line 2"):
        read_records(tmp_path / "m.jsonl")


def record(k: int, task: str = "sound", seconds: float = 1.0, answer: str | tuple[str, ...] = "rain") -> Record:
    return Record(f"{task}-{k}", task, answer, Sound(path=Path("x.wav")), seconds)


def test_instructions_change_with_the_epoch_and_not_with_the_order() -> None:
    bank = Bank.read().with_labels([record(0), record(1, answer="wind")])
    asked = [bank.instruction(record(0), 5, e) for e in range(40)]
    assert asked == [bank.instruction(record(0), 5, e) for e in range(40)]
    assert len(set(asked)) > 5
    named = [a for a in asked if "rain" in a]
    assert named
    assert all("wind" in a and "{" not in a for a in named)
    bare = Bank.read()
    assert not any("{labels}" in bare.instruction(record(k), 5, 0) for k in range(60))
    tags = record(0, "tags", answer=("a", "b", "c"))
    assert len({bank.answer(tags, 5, e) for e in range(20)}) > 3
    with pytest.raises(InputError, match=r"no instruction for the task 'sounds'.*sound"):
        bank.instruction(record(0, "sounds"), 0, 0)


def sources(sizes: list[int], groups: list[str]) -> list[Source]:
    return [
        Source(f"s{i}", g, [record(k, f"t{i}", 0.5 + (k * 7 % 10) / 10) for k in range(n)])
        for i, (n, g) in enumerate(zip(sizes, groups, strict=True))
    ]


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.integers(1, 400), min_size=1, max_size=6),
    st.floats(1, 50),
    st.floats(1, 50),
    st.floats(0, 1),
    st.sampled_from(["items", "hours", "answer-words"]),
)
def test_probabilities_are_a_distribution_and_nothing_starves(
    sizes: list[int], t: float, gt: float, done: float, unit: str
) -> None:
    found = sources(sizes, ["a", "b", "a", "c", "b", "a"][: len(sizes)])
    mixture = Mixture(t, gt, unit, {"a": (0.3, 0.6)} if len(sizes) > 1 else {})  # type: ignore[arg-type]
    p = mixture.probabilities(found, done)
    assert p.sum() == pytest.approx(1.0)
    assert (p > 0).all()
    if len(sizes) > 1:
        assert p[[i for i, s in enumerate(found) if s.group == "a"]].sum() == pytest.approx(0.3 + 0.3 * done)


def test_temperature_goes_from_size_to_uniform() -> None:
    found = sources([300, 100], ["a", "a"])
    assert Mixture(1.0).probabilities(found, 0).tolist() == pytest.approx([0.75, 0.25])
    assert Mixture(1e6).probabilities(found, 0).tolist() == pytest.approx([0.5, 0.5], abs=1e-4)
    capped = [Source("s0", "a", found[0].records, cap=100), found[1]]
    assert Mixture(1.0).probabilities(capped, 0).tolist() == pytest.approx([0.5, 0.5])
    assert Mixture(1.0).probabilities(found, 0, [True, False]).tolist() == [0.0, 1.0]
    with pytest.raises(UsageError, match="every source has been used"):
        Mixture().probabilities(found, 0, [True, True])
    with pytest.raises(UsageError, match="share for 'speech'"):
        Mixture(shares={"speech": (0.5, 0.5)}).probabilities(found, 0)


def feed(world: int = 1, rank: int = 0, **more: object) -> Feed:
    found = sources([30, 7, 50], ["speech", "sound", "sound"])
    return Feed(
        found, Mixture(shares={"speech": (0.5, 0.5)}), Budget(6.0, 8, 2.0), seed=1, pools=20, rank=rank, world=world
    )


def test_batches_keep_the_budget_and_realise_the_mixture() -> None:
    f = feed()
    seen = {0: 0, 1: 0, 2: 0}
    for draws, _ in itertools.islice(f.batches(), 400):
        longest = max(f.record(d).duration_s for d in draws)
        assert len(draws) <= 8
        assert len(draws) == 1 or longest * len(draws) <= 6.0 + 1e-9
        for d in draws:
            seen[d.source] += 1
    n = sum(seen.values())
    assert seen[0] / n == pytest.approx(0.5, abs=0.04)


def test_every_record_is_seen_before_any_is_seen_again() -> None:
    f = feed()
    draws = [d for b, _ in itertools.islice(f.batches(), 200) for d in b if d.source == 1]
    for epoch in range(max(d.epoch for d in draws)):
        assert sorted(d.index for d in draws if d.epoch == epoch) == list(range(7))


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 60))
def test_a_state_goes_on_where_it_was_taken(at: int) -> None:
    whole = list(itertools.islice(feed().batches(), at + 12))
    state = FeedState.of(json.loads(json.dumps(whole[at][1])))
    rest = list(itertools.islice(feed().batches(state), 11))
    assert [b for b, _ in rest] == [b for b, _ in whole[at + 1 :]]


def test_processes_share_the_batches_of_a_pool() -> None:
    whole, _ = feed(2)._pool(FeedState(0, 0, [0, 0, 0]))
    assert len(whole) % 2 == 0
    own = [[b for b, s in itertools.takewhile(lambda x: x[1]["pool"] == 0, feed(2, r).batches())] for r in (0, 1)]
    assert own[0] == whole[0::2][: len(own[0])]
    assert own[1] == whole[1::2][: len(own[1])]


def test_a_source_is_used_as_often_as_it_may() -> None:
    found = [
        Source("a", "g", [record(k) for k in range(4)], epochs=2),
        Source("b", "g", [record(k, "t") for k in range(9)]),
    ]
    f = Feed(found, Mixture(), Budget(4.0, 4, 2.0), seed=0, pools=5)
    draws = [d for b, _ in itertools.islice(f.batches(), 60) for d in b if d.source == 0]
    assert len(draws) == 8


def test_sounds_are_played_faster_and_slower() -> None:
    x = tone(16_000)
    none = Augment()(x, np.random.default_rng(0))
    assert none is x
    changed = Augment(1.0, (0.8, 1.25), (-6.0, 0.0), (10.0, 20.0))
    found = [changed(x, np.random.default_rng(k)) for k in range(20)]
    lengths = {len(y) for y in found}
    assert len(lengths) > 10
    assert all(16_000 / 1.26 < n < 16_000 / 0.79 for n in lengths)
    assert changed.slowest == 1.25
    assert np.array_equal(changed(x, np.random.default_rng(3)), found[3])
    with pytest.raises(UsageError, match="no range"):
        Augment(1.0, (1.2, 0.8))
