"""Folders of sound files: the folder directly under the root is the label, as in ``sounds/dog bark/x.wav``."""

from __future__ import annotations

from pathlib import Path

from otoscope.audio.corpus import sound_files
from otoscope.audio.layouts.listing import Listed
from otoscope.core.errors import InputError


def read_folders(root: Path) -> tuple[Listed, ...]:
    """Every sound under ``root``, sorted by path; each file is its own group. Raises :class:`InputError` on a file that
    lies in no folder."""
    found = []
    for name in sound_files(root):
        label, _, rest = name.partition("/")
        if not rest:
            raise InputError(
                "lies in no folder, so it has no label", where=str(root / name), fix="Move it to LABEL/FILE."
            )
        found.append(Listed(root / name, name, "sound", str(Path(name).with_suffix("").as_posix()), (label,)))
    return tuple(found)
