"""MusicCaps (A. Agostinelli et al., arXiv 2301.11325): ``musiccaps-public.csv`` (``ytid, start_s, end_s, ...,
aspect_list, caption, ..., is_audioset_eval``); the sounds are whatever was fetched.

A clip is looked for in the folder, ``audio/`` and ``wav/`` by the video's number, alone or as
``[YTID]-[START-END]``. Clips of AudioSet's evaluation set are the test, the others train."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from otoscope.audio.layouts.listing import read_table
from otoscope.core.errors import InputError
from otoscope.training.uniwhisper.converters.found import Converter, Found

_TABLE = "musiccaps-public.csv"
_NEEDED = ("ytid", "start_s", "end_s", "aspect_list", "caption", "is_audioset_eval")
_KINDS = (".wav", ".flac", ".mp3", ".ogg")


def _read(root: Path) -> Iterator[Found]:
    for row in read_table(root / _TABLE, _NEEDED):
        video = row["ytid"]
        more = {
            "domain": "music", "group": f"youtube:{video}", "license": "CC BY-SA 4.0",
            "split": "test" if row["is_audioset_eval"] == "True" else "train",
        }  # fmt: skip
        names = (video, f"[{video}]-[{row['start_s']}-{row['end_s']}]")
        places = [root / f / f"{n}{kind}" for f in ("", "audio", "wav") for n in names for kind in _KINDS]
        path = next((p for p in places if p.is_file()), places[0])
        yield Found(path, video, "music-caption", " ".join(row["caption"].split()), more)
        if aspects := _aspects(row["aspect_list"], f"{root / _TABLE}, {video}"):
            yield Found(path, video, "music-tags", aspects, more)


def _aspects(text: str, where: str) -> tuple[str, ...]:
    """A list of texts as Python writes it."""
    try:
        found = ast.literal_eval(text)
    except (ValueError, SyntaxError) as e:
        raise InputError(f"aspect_list is no list: {text[:60]}", where=where) from e
    if not isinstance(found, list) or not all(isinstance(x, str) for x in found):
        raise InputError(f"aspect_list is no list of texts: {text[:60]}", where=where)
    return tuple(dict.fromkeys(x.strip() for x in found if x.strip()))


CONVERTER = Converter(
    "musiccaps", "a text about ten seconds of music, and its aspects", ("music-caption", "music-tags"), _read
)
