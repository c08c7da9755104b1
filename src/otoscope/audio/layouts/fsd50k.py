"""FSD50K as published (E. Fonseca et al., arXiv 2010.00475): ``FSD50K.ground_truth/{dev,eval,vocabulary}.csv`` and
``FSD50K.{dev,eval}_audio/NAME.wav``.

A clip has several labels of the AudioSet ontology, ancestors included, as the tables list them. The split is ``train``
or ``val`` (of dev) or ``eval``. A file is one Freesound recording, and its own group.
"""

from __future__ import annotations

import csv
from pathlib import Path

from otoscope.audio.layouts.listing import Listed, read_table
from otoscope.core.errors import InputError


def is_fsd50k(root: Path) -> bool:
    return (root / "FSD50K.ground_truth").is_dir()


def read_fsd50k(root: Path) -> tuple[Listed, ...]:
    """Every clip of the parts whose audio is there, dev before eval, in the order of the tables.

    Raises :class:`InputError` where neither part has audio, or a label is not in the vocabulary.
    """
    tables = root / "FSD50K.ground_truth"
    known = _vocabulary(tables / "vocabulary.csv")
    found: list[Listed] = []
    for part in ("dev", "eval"):
        folder = f"FSD50K.{part}_audio"
        if not (root / folder).is_dir():
            continue
        table = tables / f"{part}.csv"
        for row in read_table(table, ("fname", "labels", "split") if part == "dev" else ("fname", "labels")):
            labels = tuple(row["labels"].split(","))
            if strange := [x for x in labels if x not in known]:
                raise InputError(f"label {strange[0]!r} is not in vocabulary.csv", where=f"{table}, {row['fname']}")
            name = f"{folder}/{row['fname']}.wav"
            split = row["split"] if part == "dev" else "eval"
            found.append(Listed(root / name, name, "sound", f"freesound:{row['fname']}", labels, split=split))
    if not found:
        raise InputError("holds neither FSD50K.dev_audio nor FSD50K.eval_audio with clips", where=str(root))
    return tuple(found)


def _vocabulary(path: Path) -> frozenset[str]:
    """Names of the classes; lines are ``index,name,mid`` without a header."""
    if not path.is_file():
        raise InputError("no such file", where=str(path), fix="The data set's own tables are needed beside its audio.")
    with path.open(encoding="utf-8", newline="") as f:
        rows = [row for row in csv.reader(f) if row]
    if short := [row for row in rows if len(row) < 3]:
        raise InputError(f"holds a line that is not index,name,mid: {','.join(short[0])}", where=str(path))
    return frozenset(row[1] for row in rows)
