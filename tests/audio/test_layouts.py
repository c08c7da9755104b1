"""Published layouts, each on a miniature made here in that layout."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from otoscope.audio import io
from otoscope.audio.corpus import scan_folder, write_manifest
from otoscope.audio.layouts import opened, read_layout
from otoscope.core.audio import Audio
from otoscope.core.errors import InputError, UsageError
from otoscope.core.identity import file_digest

SHARED = Path(__file__).resolve().parents[3] / "shared" / "audio"


def sound(path: Path, seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    io.write(path, Audio(0.1 * np.random.default_rng(seed).standard_normal((1, 2000)).astype(np.float32), 8000))


def test_folders_by_class(tmp_path: Path) -> None:
    for name in ("dog bark/a.wav", "dog bark/b.flac", "rain/deep/c.wav"):
        sound(tmp_path / name)
    found = read_layout(tmp_path)
    assert [(x.labels, x.group) for x in found] == [
        (("dog bark",), "dog bark/a"),
        (("dog bark",), "dog bark/b"),
        (("rain",), "rain/deep/c"),
    ]
    clip = opened(found[0])
    assert (clip.duration_s, clip.rate, clip.sha256) == (0.25, 8000, file_digest(tmp_path / "dog bark" / "a.wav"))
    sound(tmp_path / "stray.wav")
    with pytest.raises(InputError, match=r"stray\.wav.*no label"):
        read_layout(tmp_path)


def test_esc50(tmp_path: Path) -> None:
    (tmp_path / "meta").mkdir()
    table = tmp_path / "meta" / "esc50.csv"
    table.write_text(
        "filename,fold,target,category,esc10,src_file,take\n"
        "1-100032-A-0.wav,1,0,dog,True,100032,A\n"
        "1-100032-B-0.wav,1,0,dog,True,100032,B\n"
        "2-17.5-A-14.wav,2,14,chirping_birds,False,17,A\n"
    )
    found = read_layout(tmp_path)
    assert [x.group for x in found] == ["freesound:100032", "freesound:100032", "freesound:17"]
    assert [x.labels[0] for x in read_layout(tmp_path, "2")] == ["chirping_birds"]
    assert len(read_layout(tmp_path, "1 2")) == 3
    with pytest.raises(UsageError, match=r"no split '6'.*There are: 1, 2"):
        read_layout(tmp_path, "6")
    with pytest.raises(InputError, match="1-100032-A-0"):
        opened(found[0])  # its file is not there
    table.write_text("filename,fold\nx,1\n")
    with pytest.raises(InputError, match="no column 'category'"):
        read_layout(tmp_path)
    table.write_text("filename,fold,category,src_file\nx,1,dog,\n")
    with pytest.raises(InputError, match="line 2 lacks a value"):
        read_layout(tmp_path)


def test_fsd50k(tmp_path: Path) -> None:
    tables = tmp_path / "FSD50K.ground_truth"
    tables.mkdir()
    (tables / "vocabulary.csv").write_text("0,Bark,/m/05tny_\n1,Dog,/m/0bt9lr\n2,Rain,/m/06mb1\n")
    (tables / "dev.csv").write_text('fname,labels,mids,split\n64760,"Bark,Dog","/m/05tny_,/m/0bt9lr",train\n')
    (tables / "eval.csv").write_text('fname,labels,mids\n37199,Rain,"/m/06mb1"\n')
    with pytest.raises(InputError, match=r"neither FSD50K\.dev_audio"):
        read_layout(tmp_path)
    sound(tmp_path / "FSD50K.dev_audio" / "64760.wav")
    assert [x.labels for x in read_layout(tmp_path)] == [("Bark", "Dog")]
    sound(tmp_path / "FSD50K.eval_audio" / "37199.wav")
    assert [(x.labels, x.split, x.group) for x in read_layout(tmp_path)] == [
        (("Bark", "Dog"), "train", "freesound:64760"),
        (("Rain",), "eval", "freesound:37199"),
    ]
    assert opened(read_layout(tmp_path, "eval")[0]).duration_s == 0.25
    (tables / "eval.csv").write_text("fname,labels,mids\n37199,Snow,x\n")
    with pytest.raises(InputError, match="'Snow' is not in vocabulary"):
        read_layout(tmp_path)


def test_librispeech(tmp_path: Path) -> None:
    root = tmp_path / "LibriSpeech"
    for speaker, subset in ((1272, "dev-clean"), (174, "dev-clean"), (84, "test-clean")):
        folder = root / subset / str(speaker) / "9"
        sound(folder / f"{speaker}-9-0000.flac", speaker)
        (folder / f"{speaker}-9.trans.txt").write_text(f"{speaker}-9-0000 A MAN SAID TO THE UNIVERSE\n")
    speakers = root / "SPEAKERS.TXT"
    speakers.write_text(
        "; Some pipe(|) separated metadata\n;ID  |SEX| SUBSET |MINUTES| NAME\n"
        "84   | F | dev-clean        |  8.02 | Christie Nowak\n"
        "174  | M | dev-clean        |  8.04 | Peter Eastman\n"
        "1272 | M | dev-clean        |  8.05 | Expatriate\n"
    )
    found = read_layout(tmp_path)
    assert found == read_layout(root)
    assert {(x.group, x.sex, x.split) for x in found} == {
        ("librispeech:1272", "male", "dev-clean"),
        ("librispeech:174", "male", "dev-clean"),
        ("librispeech:84", "female", "test-clean"),
    }
    assert found[0].more["transcript"] == "A MAN SAID TO THE UNIVERSE"
    assert found[0].name.startswith("dev-clean/")
    assert {x.kind for x in found} == {"speech"}
    sound(root / "dev-clean" / "174" / "9" / "174-9-0001.flac")
    with pytest.raises(InputError, match=r"174-9-0001\.flac.*no transcript"):
        read_layout(tmp_path)
    speakers.write_text("84 | F | dev-clean\n")
    with pytest.raises(InputError, match="speaker 1272 is not in SPEAKERS"):
        read_layout(tmp_path)
    speakers.write_text("84 | X | dev-clean\n")
    with pytest.raises(InputError, match="line 1"):
        read_layout(tmp_path)


def test_manifests_of_ours(tmp_path: Path) -> None:
    for name in ("a.wav", "b.wav", "c.wav"):
        sound(tmp_path / name)
    write_manifest(tmp_path / "manifest.jsonl", scan_folder(tmp_path).clips)
    lines = [json.loads(line) for line in (tmp_path / "manifest.jsonl").read_text().splitlines()]
    labels = ({"sound": "rain"}, {"transcript": "one", "digit": 1, "sex": "female"}, {"note": "C4"})
    for line, label in zip(lines, labels, strict=True):
        line |= {"labels": label, "corpus": "mine", "group": line["path"]}
    (tmp_path / "manifest.jsonl").write_text("\n".join(map(json.dumps, lines)))
    found = read_layout(tmp_path / "manifest.jsonl")
    assert [(x.kind, x.labels, x.sex) for x in found] == [("sound", ("rain",), None), ("speech", (), "female")]
    assert read_layout(tmp_path, "mine") == found


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        read_layout(tmp_path / "gone")
    with pytest.raises(InputError, match="holds no sound file"):
        read_layout(tmp_path)


def test_the_shared_recordings() -> None:
    if not (SHARED / "manifest.jsonl").is_file():
        pytest.skip("the recordings of ../shared/audio are not beside this checkout")
    digits, sounds = read_layout(SHARED, "fsdd"), read_layout(SHARED, "esc10")
    assert len({x.group for x in digits}) == 4
    assert {x.kind for x in digits} == {"speech"}
    assert len({x.labels for x in sounds}) == 10
