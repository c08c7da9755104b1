"""LibriSpeech as published (V. Panayotov et al., ICASSP 2015): ``SPEAKERS.TXT`` and
``SUBSET/SPEAKER/CHAPTER/SPEAKER-CHAPTER-NUMBER.flac`` with ``SPEAKER-CHAPTER.trans.txt``.

The split is the subset (``dev-clean``, ``train-other-500``, ...); the group is the speaker.
"""

from __future__ import annotations

from pathlib import Path

from otoscope.audio.layouts.listing import Listed
from otoscope.core.errors import InputError

_SEXES = {"F": "female", "M": "male"}
_SUBSETS = ("dev-*", "test-*", "train-*")


def library(root: Path) -> Path | None:
    """The folder that holds ``SPEAKERS.TXT``: ``root``, or the ``LibriSpeech`` in it that the archives unpack to."""
    return next((f for f in (root, root / "LibriSpeech") if (f / "SPEAKERS.TXT").is_file()), None)


def read_librispeech(root: Path) -> tuple[Listed, ...]:
    """Every utterance of the subsets that are there, sorted by path. Raises :class:`InputError` on a speaker that
    ``SPEAKERS.TXT`` lacks and on an utterance without a transcript."""
    folder = library(root)
    if folder is None:
        raise InputError("holds no SPEAKERS.TXT", where=str(root))
    sexes = _speakers(folder / "SPEAKERS.TXT")
    found: list[Listed] = []
    for subset in sorted(p for pattern in _SUBSETS for p in folder.glob(pattern) if p.is_dir()):
        for table in sorted(subset.glob("*/*/*.trans.txt")):
            found += _chapter(folder, subset.name, table, sexes)
    if not found:
        raise InputError("holds no subset (dev-*, test-*, train-*) with utterances", where=str(folder))
    return tuple(found)


def _speakers(path: Path) -> dict[str, str]:
    sexes = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip() or line.startswith(";"):
            continue
        fields = [x.strip() for x in line.split("|")]
        if len(fields) < 3 or fields[1] not in _SEXES:
            raise InputError("is not 'ID | SEX | SUBSET | ...'", where=f"{path}, line {number}")
        sexes[fields[0]] = _SEXES[fields[1]]
    return sexes


def _chapter(root: Path, subset: str, table: Path, sexes: dict[str, str]) -> list[Listed]:
    spoken = dict(line.split(" ", 1) for line in table.read_text(encoding="utf-8").splitlines() if " " in line)
    found = []
    for path in sorted(table.parent.glob("*.flac")):
        speaker = path.name.split("-")[0]
        if speaker not in sexes:
            raise InputError(f"speaker {speaker} is not in SPEAKERS.TXT", where=str(path))
        if path.stem not in spoken:
            raise InputError("has no transcript", where=str(path), fix=f"It should be in {table.name}.")
        name = path.relative_to(root).as_posix()
        more = {"speaker": speaker, "transcript": spoken[path.stem]}
        found.append(Listed(path, name, "speech", f"librispeech:{speaker}", (), sexes[speaker], subset, more))
    return found
