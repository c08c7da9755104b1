"""What a copy consists of, what it lacks, and how it differs from an earlier one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from otoscope.cli import cli
from otoscope.core.errors import InputError
from otoscope.core.identity import file_digest
from otoscope.tasks.audiomarathon.hub import folder_of
from otoscope.tasks.audiomarathon.kinds import HUB_ID, KINDS, REVISION
from otoscope.tasks.audiomarathon.manifest import changes, describe, dumps, loads


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "marathon"
    args = ["data", "miniature", "audiomarathon", str(folder), "--items", "2", "--scale", "0.02"]
    assert CliRunner().invoke(cli, args).exit_code == 0
    again = CliRunner().invoke(cli, args)
    assert "is there already" in str(again.exception)
    return folder


def test_every_file_of_the_ten_tasks_is_described(root: Path, tmp_path: Path) -> None:
    found = describe(root)
    assert not found.problems
    assert {t for x in found.lines for t in x.tasks} == set(KINDS)
    for x in found.lines:
        assert x.sha256 == file_digest(root / x.path)
        assert x.bytes == (root / x.path).stat().st_size
        assert x.rate == (22_050 if "mc" in x.tasks else 16_000)
        assert x.duration_s is not None
        assert x.duration_s >= 4
    file = tmp_path / "m.jsonl"
    file.write_text(dumps(found.lines))
    assert loads(file) == found.lines
    file.write_text('{"path": 3}\n')
    with pytest.raises(InputError, match="line 1"):
        loads(file)


def test_what_is_amiss_and_what_has_changed_is_named(root: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(root, tmp_path / "copy"))
    before = describe(copy).lines
    gone, cut, *_ = sorted((copy / "race_audio").rglob("*.wav"))
    gone.unlink()
    cut.write_bytes(cut.read_bytes()[:5000])
    shutil.rmtree(copy / "GTZAN")
    found = describe(copy)
    assert [sum(word in p for p in found.problems) for word in ("is missing", "truncated", "mc:")] == [1, 1, 1]
    told = changes(before, found.lines)
    assert sum("is missing now" in t for t in told) == 1
    assert sum("other content" in t for t in told) == 1
    assert sum("only in the earlier" in t for t in told) == 2
    file = tmp_path / "before.jsonl"
    file.write_text(dumps(before))
    args = ["data", "manifest", "audiomarathon", "--data", str(copy), "--against", str(file), "--json"]
    said = CliRunner().invoke(cli, args, standalone_mode=False)
    assert said.return_value == 1
    assert json.loads(said.output)["changes"] == told
    with pytest.raises(InputError, match="no copy of AudioMarathon"):
        describe(tmp_path)


def test_a_snapshot_of_the_hub_is_found_by_its_revision(root: Path, tmp_path: Path, monkeypatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match="not in the hub's cache"):
        folder_of(HUB_ID)
    with pytest.raises(InputError, match="no commit"):
        folder_of(f"{HUB_ID}@main")
    place = tmp_path / "datasets--Hezep--AudioMarathon" / "snapshots" / REVISION
    shutil.copytree(root, place)
    import huggingface_hub._snapshot_download as hub

    monkeypatch.setattr(hub.constants, "HF_HUB_CACHE", str(tmp_path))
    assert folder_of(HUB_ID) == place
    assert folder_of(str(root)) == root
