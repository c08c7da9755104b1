"""Folders of one's own as probe tasks: parts, folds, groups."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from otoscope.audio import io
from otoscope.audio.corpus import Clip, write_manifest
from otoscope.core.audio import Audio
from otoscope.core.errors import InputError, UsageError
from otoscope.tasks.catalogue import resolve_task

SHARED = Path(__file__).parents[3].parent / "shared" / "audio"


def write(path, k=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    x = 0.1 * np.sin(2 * np.pi * (200 + 100 * k) * np.arange(1600) / 16_000)
    io.write(path, Audio(x[None].astype(np.float32), 16_000), subtype="PCM_16")
    return path


@pytest.fixture
def manifest(tmp_path):
    clips = []
    for k in range(20):
        path = write(tmp_path / f"{k:02d}.wav", k)
        part = ("train", "val", "test")[0 if k < 12 else 1 if k < 16 else 2]
        labels = {"sound": ("dog", "cat")[k % 2], "part": part, "tags": ["x", "y"] if k % 3 else ["x"]}
        clips.append(Clip(path, path.name, 0.1, 16_000, 1, "", labels, group=f"g{k // 2}", corpus=("a", "b")[k // 10]))
    write_manifest(tmp_path / "manifest.jsonl", clips)
    return tmp_path


def read(data, **more):
    return resolve_task(f"probes/folder:data={data}" + "".join(f",{k}={v}" for k, v in more.items())).collection


def test_a_manifest_is_dealt_to_folds_by_group(manifest):
    found = read(manifest)
    assert found.folds
    assert found.classes == ("cat", "dog")
    fold = {}
    for e in found.entries:
        assert fold.setdefault(e.group, e.part) == e.part
    assert sorted(Counter(e.part for e in found.entries).values()) == [4, 4, 4, 4, 4]


def test_parts_of_a_manifest_are_its_splits(manifest):
    found = read(manifest, split="part")
    assert not found.folds
    assert Counter(e.part for e in found.entries) == {"train": 12, "valid": 4, "test": 4}


def test_several_labels_make_a_task_of_several_classes(manifest):
    assert read(manifest, label="tags").metric == "map"


def test_one_corpus_of_several(manifest):
    assert len(read(manifest, corpus="b").entries) == 10
    with pytest.raises(UsageError, match="There are: a, b"):
        read(manifest, corpus="c")


def test_folders_by_class(tmp_path):
    for k in range(12):
        write(tmp_path / ("dog", "cat")[k % 2] / f"{k}.wav", k)
    found = read(tmp_path)
    assert found.classes == ("cat", "dog")
    assert len({e.part for e in found.entries}) == 5


def test_what_cannot_be_a_task_is_refused(manifest, tmp_path):
    with pytest.raises(UsageError, match=r"no clip has a label 'sounds'.*sound"):
        read(manifest, label="sounds")
    with pytest.raises(UsageError, match="no domain"):
        read(manifest, domain="noise")
    with pytest.raises(UsageError, match="none is named"):
        _ = resolve_task("probes/folder").collection
    one = tmp_path / "one"
    write(one / "dog" / "a.wav")
    with pytest.raises(InputError, match="1 classes"):
        read(one)


def test_the_shared_recordings_are_a_task():
    if not SHARED.is_dir():
        pytest.skip("../shared/audio is not beside the repository")
    found = read(SHARED, corpus="esc10", split="fold")
    assert len(found.classes) == 10
    assert found.folds
    assert len({e.part for e in found.entries}) >= 4
    groups: dict[str, set[str]] = {}
    for e in found.entries:
        groups.setdefault(e.group, set()).add(e.part)
    assert max(map(len, groups.values())) == 1
