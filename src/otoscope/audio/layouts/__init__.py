"""Labelled clips in the layouts that data sets are published in. A folder's layout is known by its tables."""

from __future__ import annotations

import os
from pathlib import Path

from otoscope.audio.layouts.esc50 import is_esc50, read_esc50
from otoscope.audio.layouts.folders import read_folders
from otoscope.audio.layouts.fsd50k import is_fsd50k, read_fsd50k
from otoscope.audio.layouts.librispeech import library, read_librispeech
from otoscope.audio.layouts.listing import Listed, opened
from otoscope.audio.layouts.manifest import read_manifest_layout
from otoscope.core.errors import InputError, UsageError

__all__ = ["Listed", "opened", "read_layout"]


def read_layout(path: str | os.PathLike[str], split: str | None = None) -> tuple[Listed, ...]:
    """The clips of a ``manifest.jsonl`` or of the folder that holds one, of ESC-50, FSD50K or LibriSpeech as published,
    or of folders whose names are labels; ``split`` keeps parts (folds, subsets, corpora;
    several with spaces between).

    Raises :class:`InputError` on what is not there or not as its layout says, :class:`UsageError` on a split that does
    not exist.
    """
    root = Path(path).expanduser()
    if root.is_file() or (root / "manifest.jsonl").is_file():
        found = read_manifest_layout(root)
    elif not root.is_dir():
        raise InputError("no such folder", where=str(root))
    elif is_esc50(root):
        found = read_esc50(root)
    elif is_fsd50k(root):
        found = read_fsd50k(root)
    elif library(root) is not None:
        found = read_librispeech(root)
    else:
        found = read_folders(root)
    if split is None:
        return found
    splits = sorted({x.split for x in found} - {""})
    wanted = split.split()
    if strange := [w for w in wanted if w not in splits] or ([split] if not wanted else []):
        there = ", ".join(splits) or "none"
        raise UsageError(f"there is no split {strange[0]!r}", where=str(root), fix=f"There are: {there}.")
    return tuple(x for x in found if x.split in wanted)
