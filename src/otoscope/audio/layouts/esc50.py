"""ESC-50 as published (K. J. Piczak, ACM Multimedia 2015): ``meta/esc50.csv`` and ``audio/*.wav``.

Clips cut from one Freesound recording share ``src_file``, which is the group; the split is the fold, ``1`` to ``5``.
"""

from __future__ import annotations

from pathlib import Path

from otoscope.audio.layouts.listing import Listed, read_table


def is_esc50(root: Path) -> bool:
    return (root / "meta" / "esc50.csv").is_file()


def read_esc50(root: Path) -> tuple[Listed, ...]:
    """Every clip, in the order of its table."""
    table = read_table(root / "meta" / "esc50.csv", ("filename", "fold", "category", "src_file"))
    return tuple(
        Listed(
            root / "audio" / row["filename"],
            f"audio/{row['filename']}",
            "sound",
            f"freesound:{row['src_file']}",
            (row["category"],),
            split=row["fold"],
        )
        for row in table
    )
