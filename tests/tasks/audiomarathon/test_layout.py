"""The published layout: written in miniature, read back, and what is wrong in it told."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from otoscope.core.errors import InputError, UsageError
from otoscope.tasks.audiomarathon.kinds import KINDS
from otoscope.tasks.audiomarathon.layout import read_entries
from otoscope.tasks.audiomarathon.miniature import read_pool, write
from otoscope.tasks.audiomarathon.subsets import subset


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("marathon")
    write(folder, read_pool(None, "test", seeds=2), n=4, scale=0.02, seed=1)
    return folder


@pytest.fixture
def copy(root: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(root, tmp_path / "copy"))


def test_all_ten_tasks_are_read_whole(root: Path) -> None:
    for key, kind in KINDS.items():
        found = read_entries(root, key)
        assert len(found) == 4
        assert [e.problem for e in found] == [None] * 4
        assert len({e.id for e in found}) == 4
        if kind.free:
            assert all(e.transcript for e in found)
        else:
            assert all(len(e.options) == kind.options and e.gold is not None for e in found)


def test_the_same_seed_writes_the_same_files(root: Path, tmp_path: Path) -> None:
    write(tmp_path, read_pool(None, "test", seeds=2), n=4, scale=0.02, seed=1)
    for path in sorted(root.rglob("*.json")):
        assert (tmp_path / path.relative_to(root)).read_bytes() == path.read_bytes()


def test_the_other_wav_layout_is_found(copy: Path) -> None:
    base = copy / "GTZAN/concatenated_audio"
    for path in (base / "wav").glob("*.wav"):
        path.rename(base / path.name)
    assert all(e.problem is None for e in read_entries(copy, "mc"))


def test_objects_lists_letters_and_texts_are_all_read(copy: Path) -> None:
    file = copy / "TAU/concatenated_resampled/acoustic_scene_task_meta.json"
    rows = json.loads(file.read_text())
    before = read_entries(copy, "asc")
    for row in rows:
        row["options"] = [row.pop(f"choice_{x}") for x in "abcd"]
        row["answer_gt"] = row["options"]["ABCD".index(row["answer_gt"])].upper()
    file.write_text(json.dumps({"data": rows}))
    assert read_entries(copy, "asc") == before


def test_what_is_wrong_keeps_its_place_and_is_told(copy: Path) -> None:
    file = copy / "race_audio/race_benchmark.json"
    rows = json.loads(file.read_text())
    del rows[0]["question"]
    rows[1]["answer"] = "Z"
    del rows[2]["audio_path"]
    (copy / "race_audio" / rows[3]["audio_path"]).unlink()
    file.write_text(json.dumps(rows))
    problems = [e.problem or "" for e in read_entries(copy, "scr")]
    assert len(problems) == 4
    for said in ("lacks question", "answer='Z'", "lacks audio_path", "is missing"):
        assert sum(said in p for p in problems) == 1, said


def test_known_holes_are_named(copy: Path) -> None:
    file = copy / "VESUS/audio_emotion_dataset.json"
    rows = json.loads(file.read_text())
    rows[0]["path"] = "3/person_3_Angry_sentences_001_2.0min.wav"
    file.write_text(json.dumps(rows))
    problems = [e.problem for e in read_entries(copy, "er") if e.problem]
    assert len(problems) == 1
    assert "known hole" in problems[0]


def test_a_path_out_of_the_folder_is_not_followed(copy: Path) -> None:
    file = copy / "race_audio/race_benchmark.json"
    rows = json.loads(file.read_text())
    rows[0]["audio_path"] = "../SLUE/merged_audio_data.json"
    file.write_text(json.dumps(rows))
    assert any(e.problem and "missing" in e.problem for e in read_entries(copy, "scr"))


def test_a_folder_that_is_none_or_damaged_is_refused(copy: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        read_entries(tmp_path / "nowhere", "asr")
    (copy / "SLUE/merged_audio_data.json").write_text("{]")
    with pytest.raises(InputError, match=r"merged_audio_data\.json"):
        read_entries(copy, "ser")
    with pytest.raises(InputError, match="holds nothing"):
        read_entries(tmp_path, "asr")


def test_subsets(copy: Path) -> None:
    sd = read_entries(copy, "sd")
    least = min(sum(e.label == x for e in sd) for x in ("real", "fake"))
    assert subset(sd, "full") == sd
    for name in ("balanced", "official-qwen"):
        drawn = subset(sd, name)
        assert [sum(e.label == x for e in drawn) for x in ("real", "fake")] == [least, least]
    with pytest.raises(UsageError, match="subset"):
        subset(sd, "most")
