"""Manifests and folders: nothing in them is passed over in silence."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from otoscope.audio import corpus, io
from otoscope.core.audio import Audio
from otoscope.core.errors import InputError, UsageError

SHARED = Path(__file__).resolve().parents[3] / "shared" / "audio"


def make(folder: Path, *names: str) -> None:
    for k, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        x = 0.1 * np.random.default_rng(k).standard_normal((1 + k % 2, 4000 + k))
        io.write(path, Audio(x.astype(np.float32), 8000))


def test_scan_is_sorted_grouped_and_survives_a_manifest(tmp_path: Path) -> None:
    make(tmp_path, "b/two.wav", "a/one.flac", "a/one.ogg", "c.wav")
    make(tmp_path, ".hidden/x.wav")
    (tmp_path / "notes.txt").write_text("no sound")
    scan = corpus.scan_folder(tmp_path)
    assert [c.name for c in scan.clips] == ["a/one.flac", "a/one.ogg", "b/two.wav", "c.wav"]
    assert [c.group for c in scan.clips] == ["a/one", "a/one", "b/two", "c"]
    assert [c.group for c in corpus.scan_folder(tmp_path, group_by="parent").clips] == ["a", "a", "b", "."]
    assert scan.unreadable == ()
    corpus.write_manifest(tmp_path / "manifest.jsonl", scan.clips)
    back = corpus.read_manifest(tmp_path)
    assert back == scan.clips
    corpus.verify(back)
    assert pickle.loads(pickle.dumps(back)) == back
    assert len({hash(c) for c in back}) == 4


def test_broken_files_are_raised_or_reported(tmp_path: Path) -> None:
    make(tmp_path, "good.wav", "late.flac")
    (tmp_path / "bad.mp3").write_bytes(b"")
    with pytest.raises(InputError, match=r"bad\.mp3"):
        corpus.scan_folder(tmp_path)
    scan = corpus.scan_folder(tmp_path, on_unreadable="report")
    assert [c.name for c in scan.clips] == ["good.wav", "late.flac"]
    assert scan.unreadable == ((tmp_path / "bad.mp3", "is an empty file (0 bytes)"),)
    data = bytearray((tmp_path / "late.flac").read_bytes())
    data[len(data) // 2 : len(data) // 2 + 400] = bytes(400)
    (tmp_path / "late.flac").write_bytes(data)
    deep = corpus.scan_folder(tmp_path, on_unreadable="report", decode=True)
    assert [path.name for path, _ in deep.unreadable] == ["bad.mp3", "late.flac"]


def test_folders_without_sound_and_wrong_choices_are_errors(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no sound file"):
        corpus.scan_folder(tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        corpus.scan_folder(tmp_path / "no")
    with pytest.raises(UsageError):
        corpus.scan_folder(tmp_path, group_by="colour")  # type: ignore[arg-type]


GOOD = {"path": "a.wav", "duration_s": 1.0, "sample_rate": 8000, "channels": 1, "sha256": "00"}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{not json", "is not JSON"),
        ("[1]", "not an object"),
        (json.dumps({**GOOD, "path": "b.wav", "sha256": 5}), "sha256 has a value of the wrong kind"),
        (json.dumps({k: v for k, v in GOOD.items() if k != "channels"}), "lacks channels"),
        (json.dumps({**GOOD, "path": "/a.wav"}), "not relative"),
        (json.dumps({**GOOD, "path": "b.wav", "duration_s": 0}), "must be positive"),
        (json.dumps({**GOOD, "path": "b.wav", "sample_rate": True}), "wrong kind"),
        (json.dumps(GOOD), "listed already, in line 1"),
    ],
)
def test_manifest_errors_name_the_line(tmp_path: Path, line: str, words: str) -> None:
    path = tmp_path / "manifest.jsonl"
    path.write_text(f"{json.dumps(GOOD)}\n\n{line}\n")
    with pytest.raises(InputError, match=words) as caught:
        corpus.read_manifest(path)
    assert caught.value.where == f"{path}, line 3"


def test_missing_and_empty_manifests(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such manifest"):
        corpus.read_manifest(tmp_path)
    (tmp_path / "manifest.jsonl").write_text("\n")
    with pytest.raises(InputError, match="lists no sound"):
        corpus.read_manifest(tmp_path)


def test_verify_names_every_file_that_differs(tmp_path: Path) -> None:
    make(tmp_path, "a.wav", "b.wav", "c.wav")
    clips = corpus.scan_folder(tmp_path).clips
    (tmp_path / "a.wav").unlink()
    (tmp_path / "b.wav").write_bytes((tmp_path / "b.wav").read_bytes() + b"x")
    with pytest.raises(InputError, match=r"2 of 3 .*a\.wav is missing; b\.wav has changed"):
        corpus.verify(clips)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared recordings (../shared/audio) are not here")
def test_the_shared_recordings_match_their_manifest() -> None:
    listed = corpus.read_manifest(SHARED)
    assert len(listed) > 2000
    some = listed[::60]
    corpus.verify(some)
    for clip in some:
        head = io.info(clip.path)
        assert (head.rate, head.channels) == (clip.rate, clip.channels)
        assert head.duration_s == pytest.approx(clip.duration_s, abs=1e-4)
        assert clip.group
        assert clip.license
    for clip in some[::8]:
        assert io.read(clip.path, duration_s=0.1).rate == clip.rate
