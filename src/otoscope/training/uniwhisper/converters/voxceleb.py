"""VoxCeleb1 (A. Nagrani et al., Interspeech 2017): ``[wav/]idNNNNN/VIDEO/NNNNN.wav`` and ``vox1_meta.csv`` (tabs).

Splits are those of ``iden_split.txt`` (1 train, 2 valid, 3 test; every speaker is in all) where that list lies beside
the table, else the table's own set (speakers of the verification test are held out)."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path

from otoscope.core.errors import InputError
from otoscope.training.uniwhisper.converters.found import Converter, Found

_SEXES = {"f": "a woman", "m": "a man"}
_PARTS = {"1": "train", "2": "valid", "3": "test"}
_ID, _NAME = "VoxCeleb1 ID", "VGGFace1 ID"


def _read(root: Path) -> Iterator[Found]:
    known, parts = _speakers(root / "vox1_meta.csv"), _parts(root / "iden_split.txt")
    files = sorted(p for p in root.glob("**/id*/*/*.wav"))
    if not files:
        raise InputError("holds no idNNNNN/VIDEO/NNNNN.wav", where=str(root))
    for path in files:
        name = "/".join(path.parts[-3:])
        if (person := known.get(path.parts[-3])) is None:
            raise InputError(f"speaker {path.parts[-3]} is not in vox1_meta.csv", where=str(path))
        if parts and name not in parts:
            raise InputError("is not in iden_split.txt", where=str(path))
        split = parts[name] if parts else {"dev": "train"}.get(person["Set"], person["Set"])
        more = {
            "domain": "speech", "group": f"voxceleb1:{person[_ID]}", "split": split, "license": "CC BY 4.0",
        }  # fmt: skip
        key = name.removesuffix(".wav")
        yield Found(path, key, "speaker", person[_NAME].replace("_", " "), more)
        yield Found(path, key, "speaker-sex", _SEXES[person["Gender"]], more)


def _speakers(table: Path) -> Mapping[str, Mapping[str, str]]:
    if not table.is_file():
        raise InputError("no such file", where=str(table), fix="Put the data set's own table beside its folders.")
    with table.open(encoding="utf-8", newline="") as f:
        rows = list(csv.DictReader(f, delimiter="\t"))
    for number, row in enumerate(rows, 2):
        if any(not row.get(c) for c in (_ID, _NAME, "Gender", "Set")) or row["Gender"] not in _SEXES:
            raise InputError("is not 'ID, name, gender, nationality, set'", where=f"{table}, line {number}")
    return {row[_ID]: row for row in rows}


def _parts(table: Path) -> Mapping[str, str]:
    found = {}
    for number, line in enumerate(table.read_text(encoding="utf-8").splitlines() if table.is_file() else (), 1):
        part, _, name = line.partition(" ")
        if part not in _PARTS or not name:
            raise InputError("is not '1|2|3 idNNNNN/VIDEO/NNNNN.wav'", where=f"{table}, line {number}")
        found[name.strip()] = _PARTS[part]
    return found


CONVERTER = Converter("voxceleb", "VoxCeleb1: who speaks, and the sex of the voice", ("speaker", "speaker-sex"), _read)
