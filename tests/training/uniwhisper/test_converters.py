"""Every converter on a miniature of its data set, written here as the data set is published."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from otoscope.cli import main
from otoscope.core.errors import InputError, UsageError
from otoscope.training.uniwhisper.converters import CONVERTERS, convert
from otoscope.training.uniwhisper.records import Record, read_records
from otoscope.training.uniwhisper.templates import Bank


def sound(path: Path, seconds: float = 0.25) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    wave = 0.1 * np.random.default_rng(len(path.name)).standard_normal(round(8000 * seconds))
    sf.write(path, wave, 8000, format="AU" if path.suffix == ".au" else None)


def text(path: Path, content: str, encoding: str = "utf-8") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding=encoding)


def librispeech(root: Path) -> None:
    base = root / "LibriSpeech"
    text(base / "SPEAKERS.TXT", "; comment\n14 | F | dev-clean | 1.0 | Ann\n19 | M | train-clean-100 | 1.0 | Bob\n")
    for part, speaker, said in (("dev-clean", 14, "HELLO THERE"), ("train-clean-100", 19, "GOOD DAY")):
        folder = base / part / str(speaker) / "208"
        sound(folder / f"{speaker}-208-0000.flac")
        text(folder / f"{speaker}-208.trans.txt", f"{speaker}-208-0000 {said}\n")


def voxceleb(root: Path) -> None:
    text(
        root / "vox1_meta.csv",
        "VoxCeleb1 ID\tVGGFace1 ID\tGender\tNationality\tSet\n"
        "id10001\tA.J._Buckley\tm\tIreland\tdev\nid10270\tEartha_Kitt\tf\tUSA\ttest\n",
    )
    sound(root / "wav" / "id10001" / "1zcIwhmdeo4" / "00001.wav")
    sound(root / "wav" / "id10270" / "5r0dWxy17C8" / "00003.wav")


def fsd50k(root: Path) -> None:
    tables = root / "FSD50K.ground_truth"
    text(tables / "vocabulary.csv", "0,Electric_guitar,/m/02sgy\n1,Music,/m/04rlf\n2,Rain,/m/06mb1\n")
    text(tables / "dev.csv", 'fname,labels,mids,split\n64760,"Electric_guitar,Music","/m/02sgy,/m/04rlf",train\n')
    text(tables / "eval.csv", "fname,labels,mids\n37199,Rain,/m/06mb1\n")
    licence = "http://creativecommons.org/licenses/by/3.0/"
    facts = {"64760": {"title": "x", "tags": [], "license": licence}}
    text(root / "FSD50K.metadata" / "dev_clips_info_FSD50K.json", json.dumps(facts))
    sound(root / "FSD50K.dev_audio" / "64760.wav")
    sound(root / "FSD50K.eval_audio" / "37199.wav")


def esc50(root: Path) -> None:
    text(
        root / "meta" / "esc50.csv",
        "filename,fold,target,category,esc10,src_file,take\n1-100032-A-0.wav,1,0,dog,True,100032,A\n"
        "5-9032-A-14.wav,5,14,chirping_birds,False,9032,A\n",
    )
    for name in ("1-100032-A-0.wav", "5-9032-A-14.wav"):
        sound(root / "audio" / name)


def clotho(root: Path) -> None:
    header = "file_name,caption_1,caption_2,caption_3,caption_4,caption_5\n"
    text(root / "clotho_captions_development.csv", header + 'Distorted AM.wav,"A, b",Two here,Three,Four,Five\n')
    text(root / "clotho_captions_evaluation.csv", header + "Birds.wav,One,Two,Three,Four,Five\n")
    text(
        root / "clotho_metadata_development.csv",
        "file_name,keywords,sound_id,sound_link,start_end_samples,manufacturer,license\n"
        'Distorted AM.wav,noise;radio,3784,http://x,"[1, 2]",José,http://cc-by\n',
        "latin-1",
    )
    sound(root / "development" / "Distorted AM.wav")
    sound(root / "evaluation" / "Birds.wav")


def audiocaps(root: Path) -> None:
    header = "audiocap_id,youtube_id,start_time,caption\n"
    text(root / "dataset" / "train.csv", header + "91139,r1nicOVtvkQ,130,A woman talks\n1,absent,30,Nobody has it\n")
    text(root / "dataset" / "test.csv", header + "103549,7fmOlUlwoNg,80,A horn blows\n103548,7fmOlUlwoNg,80,A horn\n")
    sound(root / "train" / "r1nicOVtvkQ_130.wav")
    sound(root / "test" / "Y7fmOlUlwoNg.flac")


def gtzan(root: Path) -> None:
    for name in ("blues.00000", "hiphop.00001", "rock.00002"):
        sound(root / "genres" / name.partition(".")[0] / f"{name}.au", 0.5)
    text(root / "train_filtered.txt", "blues/blues.00000.wav\n")
    text(root / "test_filtered.txt", "hiphop/hiphop.00001.wav\n")


def nsynth(root: Path) -> None:
    for part, name, family, pitch in (
        ("train", "guitar_acoustic_021-060-127", "guitar", 60),
        ("test", "synth_lead_synthetic_011-069-050", "synth_lead", 69),
    ):  # fmt: skip
        folder = root / f"nsynth-{part}"
        facts = {"note_str": name, "instrument_family_str": family, "pitch": pitch, "velocity": 127}
        text(folder / "examples.json", json.dumps({name: {**facts, "instrument_str": name.split("-")[0]}}))
        sound(folder / "audio" / f"{name}.wav")


def musiccaps(root: Path) -> None:
    text(
        root / "musiccaps-public.csv",
        "ytid,start_s,end_s,audioset_positive_labels,aspect_list,caption,author_id,is_balanced_subset,"
        "is_audioset_eval\n"
        "-0Gj8-vB1q4,30,40,/m/0,\"['low quality', 'sustained strings']\",\"A slow\nsong.\",4,False,True\n"
        "-0SdAVK79lg,30,40,/m/0,\"['guitar song']\",A loud song.,0,False,False\n",
    )
    sound(root / "[-0Gj8-vB1q4]-[30-40].wav")
    sound(root / "wav" / "-0SdAVK79lg.wav")


WRITERS: dict[str, Callable[[Path], None]] = {
    f.__name__: f for f in (librispeech, voxceleb, fsd50k, esc50, clotho, audiocaps, gtzan, nsynth, musiccaps)
}
#: Task and split -> answers, of the miniature of a data set.
WANTED: dict[str, dict[tuple[str, str], list[object]]] = {
    "librispeech": {
        ("asr", "valid"): ["hello there"], ("asr", "train"): ["good day"],
        ("speaker-sex", "valid"): ["a woman"], ("speaker-sex", "train"): ["a man"],
    },
    "voxceleb": {
        ("speaker", "train"): ["A.J. Buckley"], ("speaker", "test"): ["Eartha Kitt"],
        ("speaker-sex", "train"): ["a man"], ("speaker-sex", "test"): ["a woman"],
    },
    "fsd50k": {("tags", "train"): [("electric guitar", "music")], ("tags", "test"): [("rain",)]},
    "esc50": {("sound", "train"): ["dog"], ("sound", "test"): ["chirping birds"]},
    "clotho": {
        ("caption", "train"): ["A, b", "Two here", "Three", "Four", "Five"],
        ("caption", "test"): ["One", "Two", "Three", "Four", "Five"],
    },
    "audiocaps": {("caption", "train"): ["A woman talks"], ("caption", "test"): ["A horn blows", "A horn"]},
    "gtzan": {("genre", "train"): ["blues"], ("genre", "test"): ["hip hop"], ("genre", "unlisted"): ["rock"]},
    "nsynth": {
        ("instrument", "train"): ["guitar"], ("instrument", "test"): ["synth lead"],
        ("pitch", "train"): ["C4"], ("pitch", "test"): ["A4"],
    },
    "musiccaps": {
        ("music-caption", "test"): ["A slow song."], ("music-caption", "train"): ["A loud song."],
        ("music-tags", "test"): [("low quality", "sustained strings")], ("music-tags", "train"): [("guitar song",)],
    },
}  # fmt: skip


def answers(records: tuple[Record, ...]) -> dict[tuple[str, str], list[object]]:
    found: dict[tuple[str, str], list[object]] = {}
    for r in records:
        found.setdefault((r.task, r.split), []).append(r.answer)
    return found


@pytest.mark.parametrize("name", CONVERTERS)
def test_a_data_set_becomes_records(name: str, tmp_path: Path) -> None:
    root, out = tmp_path / "data", tmp_path / "manifests" / "m.jsonl"
    WRITERS[name](root)
    done = convert(name, root, out)
    records = read_records(out)
    assert answers(records) == WANTED[name]
    assert done.n == len(records)
    assert [Path(sound).name for sound, _ in done.left_out] == (["1.wav"] if name == "audiocaps" else [])
    bank = Bank.read().with_labels(records)
    for r in records:
        wave = r.sound.load()  # the paths hold, and the headers say the truth
        assert len(wave) == pytest.approx(16_000 * r.duration_s, abs=4)
        assert bank.instruction(r, 0, 0)
        assert r.task in CONVERTERS[name].tasks
        assert r.dataset == name
        assert r.domain in ("speech", "sound", "music")
        assert r.group
    some = CONVERTERS[name].tasks[0]
    convert(name, root, out, [some])
    assert {r.task for r in read_records(out)} == {some}


@pytest.mark.parametrize("name", CONVERTERS)
def test_another_folder_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with pytest.raises(InputError, match=r"holds no|no such file"):
        convert(name, tmp_path / "data", tmp_path / "m.jsonl")
    assert not (tmp_path / "m.jsonl").exists()


def test_licences_groups_and_lists(tmp_path: Path) -> None:
    fsd50k(tmp_path / "fsd")
    convert("fsd50k", tmp_path / "fsd", tmp_path / "fsd.jsonl")
    assert [r.license for r in read_records(tmp_path / "fsd.jsonl")] == [
        "http://creativecommons.org/licenses/by/3.0/", "",
    ]  # fmt: skip
    clotho(tmp_path / "clotho")
    convert("clotho", tmp_path / "clotho", tmp_path / "clotho.jsonl")
    groups = {r.split: r.group for r in read_records(tmp_path / "clotho.jsonl")}
    assert groups == {"train": "freesound:3784", "test": "clotho:Birds.wav"}
    voxceleb(tmp_path / "vox")
    text(tmp_path / "vox" / "iden_split.txt", "3 id10001/1zcIwhmdeo4/00001.wav\n2 id10270/5r0dWxy17C8/00003.wav\n")
    convert("voxceleb", tmp_path / "vox", tmp_path / "vox.jsonl", ["speaker"])
    assert [r.split for r in read_records(tmp_path / "vox.jsonl")] == ["test", "valid"]
    text(tmp_path / "vox" / "iden_split.txt", "3 id10001/1zcIwhmdeo4/00001.wav\n")
    with pytest.raises(InputError, match=r"not in iden_split"):
        convert("voxceleb", tmp_path / "vox", tmp_path / "vox.jsonl")


def test_what_is_too_long_is_cut_or_left_out(tmp_path: Path) -> None:
    librispeech(tmp_path / "data")
    done = convert("librispeech", tmp_path / "data", tmp_path / "m.jsonl", longest_s=0.1)
    assert (done.n, done.cut) == (2, 2)
    assert [why for _, why in done.left_out] == ["lasts 0.2 s", "lasts 0.2 s"]
    records = read_records(tmp_path / "m.jsonl")
    assert {r.task for r in records} == {"speaker-sex"}
    assert [len(r.sound.load()) for r in records] == [1600, 1600]


def test_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    audiocaps(tmp_path / "data")
    (tmp_path / "data" / "train" / "r1nicOVtvkQ_130.wav").write_bytes(b"RIFF, and no more")
    args = ["data", "convert", "audiocaps", str(tmp_path / "data"), "-o", str(tmp_path / "m.jsonl")]

    def ended(*more: str) -> int:
        with pytest.raises(SystemExit) as e:
            main([*args, *more])
        assert isinstance(e.value.code, int)
        return e.value.code

    assert ended() == 1
    said = capsys.readouterr()
    assert said.out.startswith("2 records, ")
    assert said.err.count("left out: ") == 2
    assert ended("--partial", "--json") == 0
    assert len(json.loads(capsys.readouterr().out)["left_out"]) == 2
    with pytest.raises(UsageError, match=r"no converter for 'libri'.*librispeech"):
        convert("libri", tmp_path, tmp_path / "m.jsonl")
    with pytest.raises(UsageError, match=r"has no task 'asr'"):
        convert("esc50", tmp_path, tmp_path / "m.jsonl", ["asr"])
