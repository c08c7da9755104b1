"""What a training manifest holds of probe sets is found by source, name and content; what it doesn't, isn't."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from otoscope.audio.corpus import Clip, write_manifest
from otoscope.cli import cli
from otoscope.core.errors import InputError
from otoscope.tasks.catalogue import resolve_task
from otoscope.tasks.probes.catalog import xares_tasks
from otoscope.tasks.probes.miniature import write_miniature
from otoscope.training.uniwhisper.overlap import marks_of, overlap, sources_of


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("xares")
    for name in ("esc50", "urbansound8k", "librispeechmalefemale", "voxceleb1", "gtzan_genre", "cremad"):
        write_miniature(xares_tasks()[name], root, n=4, n_classes=2, seconds=(0.1,))
    return root


def task(name, root):
    return resolve_task(f"xares/{name}:data={root}")


def records(path: Path, *rows):
    common = {"task": "sound", "answer": "dog", "duration_s": 1.0}
    path.write_text("".join(json.dumps({"key": f"r{i}", **common, **row}) + "\n" for i, row in enumerate(rows)))
    return path


def counts(found):
    return {f.part: (f.source, f.name, f.content, f.any) for f in found if f.any}


def test_one_recording_is_found_in_every_data_set_that_is_cut_from_it(tmp_path, root):
    """ESC-50's clip 1-100-A-0 and UrbanSound8K's clips of sound 1000 are Freesound's sounds 100 and 1000."""
    esc50, urban = task("esc50", root), task("urbansound8k", root)
    first = next(e for e in esc50.collection.entries if e.id == "1/1-100-A-0")
    assert sources_of(esc50, first) == ("freesound:100",)
    mine = marks_of([records(
        tmp_path / "m.jsonl",
        {"path": "FSD50K/100.wav", "group": "freesound:100"},
        {"path": "dog.wav", "source": "https://www.freesound.org/people/somebody/sounds/1000/"},
        {"path": "bark.wav", "source": "https://freesound.org/s/77/"},
    )])  # fmt: skip
    assert mine.n == 3
    assert counts(overlap(mine, [esc50])) == {"1": (2, 0, None, 2)}  # two clips of a recording
    assert counts(overlap(mine, [urban])) == {"1": (2, 0, None, 2)}
    (part,) = [f for f in overlap(mine, [esc50]) if f.any]
    assert (part.n, part.known, part.examples[0]) == (4, 4, ("1/1-100-A-0", "source", "r0"))


def test_speakers_and_titles_as_data_sets_name_them(tmp_path, root):
    libri, vox, gtzan = (task(n, root) for n in ("librispeechmalefemale", "voxceleb1", "gtzan_genre"))
    speaker = sources_of(vox, vox.collection.entries[0])[0].partition(":")[2]
    song = gtzan.collection.entries[0].id.partition("/")[2]
    mine = marks_of([records(
        tmp_path / "m.jsonl",
        {"path": "a.flac", "group": "librispeech:100"},
        {"path": "b.wav", "group": f"voxceleb1:{speaker}"},
        {"path": "c.wav", "group": f"gtzan:{song.replace('_', '.', 1)}"},
    )])  # fmt: skip
    assert [sum(f.source for f in overlap(mine, [t])) for t in (libri, vox, gtzan)] == [2, 6, 1]


def test_names_and_bytes(tmp_path, root):
    esc50 = task("esc50", root)
    entry = esc50.collection.entries[0]
    (tmp_path / "renamed.wav").write_bytes(entry.source._bytes())
    (tmp_path / "other.wav").write_bytes(b"something else")
    rows = ({"path": "renamed.wav"}, {"path": "other.wav"}, {"path": "sounds/2-150-A-0.WAV", "sha256": "0" * 64})
    mine = records(tmp_path / "m.jsonl", *rows)
    assert counts(overlap(marks_of([mine]), [esc50])) == {"2": (0, 1, None, 1)}
    found = overlap(marks_of([mine], content=True), [esc50], content=True)
    assert counts(found) == {"1": (0, 0, 1, 1), "2": (0, 1, 0, 1)}
    told = records(tmp_path / "told.jsonl", {"path": "gone.wav", "sha256": entry.source.sha256()})
    assert counts(overlap(marks_of([told], content=True), [esc50], content=True))["1"] == (0, 0, 1, 1)
    with pytest.raises(InputError, match=r"gone\.wav.*no such sound"):
        marks_of([records(tmp_path / "gone.jsonl", {"path": "gone.wav"})], content=True)


def test_what_cannot_be_compared_is_counted(tmp_path, root):
    mine = marks_of([records(tmp_path / "m.jsonl", {"path": "1001.wav", "group": "cremad:1001"})])
    found = list(overlap(mine, [task("cremad", root)]))
    assert [(f.n, f.known, f.any) for f in found] == [(4, 0, 0)] * 3


def test_generated_sounds_and_corpora(tmp_path):
    own = resolve_task("probes/events")
    label, seed = own.collection.entries[0].source.label, own.collection.entries[0].source.seed
    made = {"kind": "event", "label": label, "seed": seed}
    mine = records(tmp_path / "m.jsonl", {"made": made}, {"made": {**made, "seed": 1}})
    assert sum(f.source for f in overlap(marks_of([mine]), [own])) == 1
    two = records(
        tmp_path / "two.jsonl", {"parts": [{"made": made, "duration_s": 1.0}, {"path": "x.wav"}], "gaps_s": [0]}
    )
    assert sum(f.source for f in overlap(marks_of([two]), [own])) == 1
    (tmp_path / "a.wav").write_bytes(b"x")
    clip = Clip(tmp_path / "a.wav", "a.wav", 1.0, 16_000, 1, "", {}, group=f"made:event:{label}:{seed}")
    write_manifest(tmp_path / "manifest.jsonl", [clip])
    assert sum(f.source for f in overlap(marks_of([tmp_path / "manifest.jsonl"]), [own])) == 1


def test_by_the_command_line(tmp_path, root):
    mine = str(records(tmp_path / "m.jsonl", {"path": "a.wav", "group": "freesound:100"}))
    clean = str(records(tmp_path / "clean.jsonl", {"path": "a.wav", "group": "freesound:5"}))
    name = f"xares/esc50:data={root}"
    done = CliRunner().invoke(cli, ["data", "overlap", mine, clean, "--task", name], standalone_mode=False)
    assert done.return_value == 1, done.output
    assert "1/1-100-A-0 is r0 (by source)" in done.output
    told = CliRunner().invoke(cli, ["data", "overlap", clean, "--task", name, "--json"], standalone_mode=False)
    assert told.return_value == 0
    assert [p["any"] for p in json.loads(told.output)["parts"]] == [0] * 5
    wrong = CliRunner().invoke(cli, ["data", "overlap", mine, "--task", "bmld"])
    assert "no probe task" in str(wrong.exception)
