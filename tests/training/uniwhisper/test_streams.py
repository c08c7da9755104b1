"""Streams as shards: rows of any source, and the library ``datasets`` where it is installed."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile as sf

from otoscope.cli import main
from otoscope.core.errors import InputError, UsageError
from otoscope.training.uniwhisper.records import read_records
from otoscope.training.uniwhisper.streams import Columns, to_shards


def sound(k: int, kind: str = "WAV", seconds: float = 0.25) -> bytes:
    wave = 0.1 * np.random.default_rng(k).standard_normal(round(16_000 * seconds))
    data = io.BytesIO()
    sf.write(data, wave.astype(np.float32), 16_000, format=kind, subtype="PCM_16")
    return data.getvalue()


def test_rows_become_shards(tmp_path: Path) -> None:
    (tmp_path / "one.wav").write_bytes(sound(1))
    rows: list[dict[str, Any]] = [
        {"audio": {"bytes": sound(0, "FLAC"), "path": "x"}, "text": "  good\nday ", "who": 7},
        {"audio": {"bytes": None, "path": "one.wav"}, "text": "one", "who": 8},
        {"audio": b"nothing", "text": "no sound", "who": 8},
        {"audio": sound(2, seconds=2.0), "text": "too long", "who": 8},
        {"audio": sound(3), "text": None, "who": 8},
        {"audio": np.zeros(9), "text": "decoded", "who": 8},
        {"audio": sound(4), "text": ["b", "a"], "who": 9},
    ]
    done = to_shards(
        rows, tmp_path / "out", "asr", Columns(group="who"), name="n", domain="speech", each=2, longest_s=1.0,
        beside=tmp_path,
    )  # fmt: skip
    assert (done.n, done.shards) == (3, 2)
    assert [where for where, _ in done.left_out] == ["n, row 2", "n, row 3", "n, row 4", "n, row 5"]
    assert "lasts 2.0 s" in done.left_out[1][1]
    assert "neither bytes nor a path" in done.left_out[3][1]
    records = read_records(tmp_path / "out" / "manifest.jsonl")
    assert [(r.answer, r.group, r.domain, r.key) for r in records] == [
        ("good day", "7", "speech", "n/000000000"), ("one", "8", "speech", "n/000000001"),
        (("b", "a"), "9", "speech", "n/000000006"),
    ]  # fmt: skip
    assert {r.sound.tar.name for r in records if r.sound.tar} == {"shard-000000.tar", "shard-000001.tar"}
    for r, k in zip(records, (0, 1, 4), strict=True):
        wanted = sf.read(io.BytesIO(sound(k, "WAV" if k else "FLAC")), dtype="float32")[0]
        np.testing.assert_array_equal(r.sound.load(), wanted)
    with pytest.raises(UsageError, match="manifest already"):
        to_shards(rows, tmp_path / "out", "asr")
    with pytest.raises(InputError, match=r"no column 'caption'.*Columns: audio, text, who"):
        to_shards(rows, tmp_path / "other", "asr", Columns(answer="caption"))
    with pytest.raises(InputError, match=r"no record; 1 left out"):
        to_shards(rows[2:3], tmp_path / "other", "asr")
    assert not list((tmp_path / "other").glob("*"))


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A parquet file as the hub has them: a column of sounds, one of classes, and what they are in its metadata."""
    pytest.importorskip("datasets")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    rows = {"audio": [{"bytes": sound(k), "path": f"{k}.wav"} for k in range(3)], "label": [0, 1, 0]}
    features = {"audio": {"_type": "Audio"}, "label": {"names": ["dog_bark", "rain"], "_type": "ClassLabel"}}
    table = pa.table(rows).replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    path = tmp_path / "data" / "train-00000-of-00001.parquet"
    path.parent.mkdir()
    pq.write_table(table, path)
    return path


@pytest.mark.parametrize("kind", ["file", "folder", "saved", "dict"])
def test_a_data_set_is_streamed(published: Path, kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import datasets

    source = {"file": published, "folder": published.parent}.get(kind, tmp_path / "saved")
    if kind in ("saved", "dict"):
        whole = datasets.load_dataset("parquet", data_files=str(published), split="train")
        (whole if kind == "saved" else datasets.DatasetDict({"train": whole})).save_to_disk(source)
    with pytest.raises(SystemExit) as e:
        main(["data", "shards", str(source), "--answer", "label", "--task", "sound", "--into", str(tmp_path / "out"),
              "--limit", "2", "--json"])  # fmt: skip
    told = json.loads(capsys.readouterr().out)
    assert (e.value.code, told["records"], told["left_out"]) == (0, 2, [])
    records = read_records(tmp_path / "out" / "manifest.jsonl")
    assert [r.answer for r in records] == ["dog bark", "rain"]
    assert [len(r.sound.load()) for r in records] == [4000, 4000]


def test_without_the_library_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from otoscope.training.uniwhisper.streams import opened

    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UsageError, match="pip install datasets"):
        opened("somewhere", "train", Columns())
