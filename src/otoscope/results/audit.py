"""Reading a whole run directory to see whether it is as it was written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from otoscope.core.errors import StoreError
from otoscope.results.artefacts import Artefacts
from otoscope.results.cells import Cell
from otoscope.results.files import is_temporary
from otoscope.results.shardfiles import ShardFolder
from otoscope.results.shards import parse_file_name


def audit(path: Path, cells: Sequence[Cell], artefacts: Artefacts) -> list[str]:
    """One sentence per thing that is wrong, sorted by place: damaged files (also of superseded attempts), files and
    folders that are not ours, and shards that a finished cell lacks."""
    found: list[str] = []
    known = {c.cell: c for c in cells}
    items = path / "items"
    for folder in sorted(items.iterdir()) if items.is_dir() else []:
        if folder.name not in known:
            found.append(f"{folder}: belongs to no cell of cells.parquet")
        found += _audit_folder(ShardFolder(folder, folder.name))
    for c in cells:
        present = ShardFolder(items / c.cell, c.cell).attempts()
        if c.status == "done":
            found += [
                f"{items / c.cell}: cell {c.alias} is done but lacks shard {k}"
                for k in c.extent.shards
                if k not in present
            ]
    for digest in artefacts:
        try:
            artefacts.get(digest)
        except StoreError as e:
            found.append(str(e))
    return found


def _audit_folder(shards: ShardFolder) -> list[str]:
    found = []
    for file in sorted(shards.folder.iterdir()) if shards.folder.is_dir() else []:
        parsed = parse_file_name(file.name)
        if parsed is None:
            found += [] if is_temporary(file.name) else [f"{file}: is not a shard"]
            continue
        try:
            shards.read_file(file, parsed[0])
        except StoreError as e:
            found.append(str(e))
    return found
