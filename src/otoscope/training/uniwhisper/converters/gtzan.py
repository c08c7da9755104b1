"""GTZAN (G. Tzanetakis, P. Cook, IEEE TSAP 2002): ``genres/GENRE/GENRE.NNNNN.au``, or ``genres_original`` with wav.

The data set has no split. Where the fault-filtered lists (B. L. Sturm, 2013) ``{train,valid,test}_filtered.txt`` lie
beside the genres, a clip's split is its list, and what is in none is left to be said by ``split`` ``unlisted``; without
them everything is ``train``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from otoscope.core.errors import InputError
from otoscope.training.uniwhisper.converters.found import Converter, Found

_GENRES = ("blues", "classical", "country", "disco", "hiphop", "jazz", "metal", "pop", "reggae", "rock")
_SAID = {"hiphop": "hip hop"}


def _read(root: Path) -> Iterator[Found]:
    folders = (root / "genres", root / "genres_original", root)
    genres = next((f for f in folders if any((f / g).is_dir() for g in _GENRES)), None)
    if genres is None:
        raise InputError("holds no folders of GTZAN's genres", where=str(root))
    listed = _lists([root, genres])
    for genre in _GENRES:
        for path in sorted([*(genres / genre).glob("*.au"), *(genres / genre).glob("*.wav")]):
            split = listed.get(path.stem, "unlisted") if listed else "train"
            more = {"domain": "music", "group": f"gtzan:{path.stem}", "split": split}
            yield Found(path, path.stem, "genre", _SAID.get(genre, genre), more)


def _lists(folders: list[Path]) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for split in ("train", "valid", "test"):
        for path in (f / f"{split}_filtered.txt" for f in folders):
            if path.is_file():
                found |= {Path(line.strip()).stem: split for line in path.read_text("utf-8").splitlines() if line}
    return found


CONVERTER = Converter("gtzan", "which of ten kinds of music it is", ("genre",), _read)
