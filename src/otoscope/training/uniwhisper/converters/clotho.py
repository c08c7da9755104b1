"""Clotho v2 (K. Drossos et al., ICASSP 2020): ``clotho_captions_PART.csv`` with five captions a clip, sounds in
``PART/`` or ``clotho_audio_files/PART/``; ``clotho_metadata_PART.csv`` (Latin-1) has the Freesound recording and
licence.

A clip with its five captions is five records."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path

from otoscope.audio.layouts.listing import read_table
from otoscope.core.errors import InputError
from otoscope.training.uniwhisper.converters.found import Converter, Found

_PARTS = {"development": "train", "validation": "valid", "evaluation": "test"}
_CAPTIONS = tuple(f"caption_{i}" for i in range(1, 6))


def _read(root: Path) -> Iterator[Found]:
    tables = {
        part: path
        for part in _PARTS
        for folder in (root, root / "clotho_csv_files")
        if (path := folder / f"clotho_captions_{part}.csv").is_file()
    }
    if not tables:
        raise InputError("holds no clotho_captions_*.csv", where=str(root))
    for part, table in tables.items():
        folders = (root / part, root / "clotho_audio_files" / part)
        sounds = next((f for f in folders if f.is_dir()), None)
        if sounds is None:
            raise InputError(f"has captions and no folder {part} of sounds", where=str(root))
        known = _metadata(table.with_name(f"clotho_metadata_{part}.csv"))
        for row in read_table(table, ("file_name", *_CAPTIONS)):
            name = row["file_name"]
            facts = known.get(name, {})
            more = {
                "domain": "sound", "split": _PARTS[part], "license": facts.get("license") or "",
                "group": f"freesound:{facts['sound_id']}" if facts.get("sound_id") else f"clotho:{name}",
            }  # fmt: skip
            for i, caption in enumerate(_CAPTIONS, 1):
                yield Found(sounds / name, f"{part}/{name}#{i}", "caption", row[caption].strip(), more)


def _metadata(table: Path) -> Mapping[str, Mapping[str, str]]:
    if not table.is_file():
        return {}
    with table.open(encoding="latin-1", newline="") as f:
        return {str(row.get("file_name")): row for row in csv.DictReader(f)}


CONVERTER = Converter("clotho", "a sentence about what is heard, five a clip", ("caption",), _read)
