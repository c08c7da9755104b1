"""Archives of all 22 tasks are read as they are written, and what is wrong with one is said."""

from __future__ import annotations

import io
import json
import tarfile

import numpy as np
import pytest
import soundfile

from otoscope.core.errors import InputError
from otoscope.tasks.probes.archives import read_archives
from otoscope.tasks.probes.catalog import xares_tasks
from otoscope.tasks.probes.miniature import write_miniature
from otoscope.tasks.probes.tars import read_shard, split_name
from otoscope.tasks.probes.writer import pack, write_tar


def wav(seconds=0.5, rate=16_000, channels=1, value=0.1):
    held = io.BytesIO()
    soundfile.write(held, np.full((round(seconds * rate), channels), value, np.float32), rate, format="WAV")
    return held.getvalue()


def test_the_table_is_the_published_one():
    tasks = xares_tasks().values()
    assert len(tasks) == 22
    assert sum(t.weight for t in tasks) == 38_752
    assert (sum(t.knn for t in tasks), sum(t.weight for t in tasks if t.knn)) == (16, 22_889)
    assert xares_tasks()["esc50"].archive_url == "https://zenodo.org/api/records/14614287/files-archive"


def test_where_the_publication_chooses_on_the_test_part_there_is_no_valid_part():
    alike = {t.name for t in xares_tasks().values() if not t.folds and "valid" not in t.parts}
    assert alike == {"voxlingua33", "desed", "fsdkaggle2018"}


@pytest.mark.parametrize("name", sorted(xares_tasks()))
def test_a_miniature_of_every_task_is_read_back(name, tmp_path):
    task = xares_tasks()[name]
    write_miniature(task, tmp_path, n=4, n_classes=2, seconds=(0.2,))
    found = read_archives(task, tmp_path)
    assert found.parts == tuple(task.parts)
    assert len(found.entries) == 4 * len(task.parts)
    assert [e.problem for e in found.entries if e.problem] == []
    first = found.entries[0]
    assert first.source.load().n == first.source.length()[0] == 3200
    if task.kind == "clip":
        assert {c for e in found.entries for c in e.labels} <= set(found.classes)
    if task.metric == "map":
        assert max(len(e.labels) for e in found.entries) == 2
    if task.kind == "frame":
        assert all(len(e.target) == 1 for e in found.entries)
    if task.kind == "contrastive":
        assert all(len(e.target) == 5 for e in found.entries)


def test_groups_are_read_from_names_where_data_sets_name_them(tmp_path):
    for name, same in (("esc50", 2), ("cremad", 2), ("gtzan_genre", 1)):
        task = xares_tasks()[name]
        write_miniature(task, tmp_path, n=4, n_classes=2, seconds=(0.1,))
        entries = [e for e in read_archives(task, tmp_path).entries if e.part == next(iter(task.parts))]
        assert len(entries) / len({e.group for e in entries}) == same


def test_a_sample_ends_at_the_first_dot_of_the_base_name():
    assert split_name("a.b/c.d.wav") == ("a.b/c", "d.wav")
    assert split_name("x.JSON") == ("x", "json")


def samples_of(tmp_path, members):
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w") as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return read_shard(path)


def test_what_a_sample_lacks_is_said_and_nothing_is_dropped(tmp_path):
    meta = json.dumps({"label": 3}).encode()
    found = samples_of(
        tmp_path,
        [
            ("good.wav", wav()), ("good.json", meta),
            ("mute.json", meta),
            ("nameless.wav", wav()),
            ("torn.wav", wav()), ("torn.json", b"{"),
            ("foreign.wma", b"x" * 200), ("foreign.json", meta),
        ],
    )  # fmt: skip
    problems = {s.key: s.problem for s in found}
    assert problems["good"] is None
    assert "no sound" in problems["mute"]
    assert "no json" in problems["nameless"]
    assert "cannot be read" in problems["torn"]
    assert "wma" in problems["foreign"]


def test_two_members_of_one_name_and_a_torn_archive_are_errors(tmp_path):
    with pytest.raises(InputError, match="two members"):
        samples_of(tmp_path, [("a.wav", wav()), ("a.wav", wav())])
    with pytest.raises(InputError, match="two samples"):
        samples_of(tmp_path, [("a.wav", wav()), ("b.wav", wav()), ("a.json", b"{}")])
    whole = (tmp_path / "x.tar").read_bytes()
    torn = tmp_path / "torn.tar"
    torn.write_bytes(b"no tar at all" + whole[:100])
    with pytest.raises(InputError, match="not a readable tar"):
        read_shard(torn)


def test_a_label_that_is_no_class_is_the_clips_problem(tmp_path):
    folder = tmp_path / "esc50"
    folder.mkdir()
    for fold in range(1, 6):
        labels = [7, 70] if fold == 1 else [7, 7]
        write_tar(
            folder / f"wds-audio-fold-{fold}-0.tar",
            [(f"{fold}-{k}-A", "wav", wav(), {"label": label}) for k, label in enumerate(labels)],
        )
    entries = read_archives(xares_tasks()["esc50"], tmp_path).entries
    assert [e.problem for e in entries if e.problem] == [
        "wds-audio-fold-1-0.tar/1-1-A: its label '70' is not a class of ESC-50"
    ]


def test_missing_archives_name_the_command_that_fetches_them(tmp_path):
    with pytest.raises(InputError, match="otoscope data fetch xares/esc50"):
        read_archives(xares_tasks()["esc50"], tmp_path)


def test_packing_follows_the_published_packer(tmp_path):
    paths = []
    for k in range(6):
        path = tmp_path / f"clip.v{k}.wav"
        path.write_bytes(wav() if k != 3 else b"tiny")
        paths.append(path)
    done = pack(paths, ["a"] * 5 + [{"label": "b", "more": 1}], tmp_path / "wds-audio-train-*.tar", n_shards=3)
    assert [p.name for p in done.archives] == [f"wds-audio-train-00000{k}.tar" for k in range(3)]
    assert done.left_out == (paths[3],)
    found = [s for p in done.archives for s in read_shard(p)]
    assert [s.key for s in found] == [f"clip_v{k}" for k in (0, 1, 2, 4, 5)]
    assert found[0].meta == {"label": "a"}
    assert found[-1].meta == {"label": "b", "more": 1}
    with pytest.raises(InputError, match="cannot fill"):
        pack(paths[:2], ["a", "a"], tmp_path / "*.tar", n_shards=3)
    with pytest.raises(InputError, match="holds a dot"):
        write_tar(tmp_path / "y.tar", [("a.b", "wav", wav(), None)])


def test_equal_samples_give_equal_archives(tmp_path):
    for name in ("a.tar", "b.tar"):
        write_tar(tmp_path / name, [("k", "wav", wav(), {"label": 1})])
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()
