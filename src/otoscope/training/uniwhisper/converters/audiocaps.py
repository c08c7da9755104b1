"""AudioCaps (C. D. Kim et al., NAACL 2019): ``{train,val,test}.csv`` (``audiocap_id, youtube_id, start_time,
caption``), as published in ``dataset/``; the sounds are whatever part was fetched.

A clip is looked for in ``PART/`` (or the root) under the names that fetchers give: the caption's number, the video's,
``Y`` with the video's, and the video's with its start in seconds. Clips of valid and test have five captions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from otoscope.audio.layouts.listing import read_table
from otoscope.core.errors import InputError
from otoscope.training.uniwhisper.converters.found import Converter, Found

_PARTS = {"train": "train", "val": "valid", "test": "test"}
_KINDS = (".wav", ".flac", ".mp3", ".ogg")


def _read(root: Path) -> Iterator[Found]:
    tables = [(p, f / f"{p}.csv") for p in _PARTS for f in (root, root / "dataset") if (f / f"{p}.csv").is_file()]
    if not tables:
        raise InputError("holds none of train.csv, val.csv, test.csv", where=str(root))
    for part, table in tables:
        for row in read_table(table, ("audiocap_id", "youtube_id", "start_time", "caption")):
            number, video = row["audiocap_id"], row["youtube_id"]
            more = {"domain": "sound", "group": f"youtube:{video}", "split": _PARTS[part]}
            names = (number, video, f"Y{video}", f"{video}_{row['start_time']}")
            yield Found(_there(root, part, names), f"{part}/{number}", "caption", row["caption"].strip(), more)


def _there(root: Path, part: str, names: tuple[str, ...]) -> Path:
    """The file, or where it was looked for first."""
    places = [folder / f"{name}{kind}" for folder in (root / part, root) for name in names for kind in _KINDS]
    return next((p for p in places if p.is_file()), places[0])


CONVERTER = Converter("audiocaps", "a sentence about ten seconds of a video's sound", ("caption",), _read)
