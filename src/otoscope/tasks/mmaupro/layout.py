"""The published data set as it lies on disk: ``test.parquet`` (or ``.jsonl``) and the sounds that its rows name.

After the columns that the authors' evaluation reads: ``audio_path`` (one path or several, relative to the folder),
``question``, ``choices``, ``answer``, ``category`` (``open`` and ``instruction following`` are kinds of their own),
``task_identifier`` and ``kwargs`` (of instructions), ``prompt_transcription``. What is missing keeps its place with a
``problem``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from otoscope.core.errors import InputError
from otoscope.core.identity import digest
from otoscope.core.items import Factor

Kind = Literal["closed", "instructions", "open"]
KINDS: tuple[Kind, ...] = ("closed", "instructions", "open")
_TABLES = ("test.parquet", "test.jsonl", "mmau_pro.jsonl")
#: Columns that become factors where they are words.
_FACTORS = ("category", "length_type", "task_identifier")


@dataclass(frozen=True)
class Question:
    """One row. ``names`` are the sounds relative to the folder, ``paths`` where they lie."""

    id: str
    kind: Kind
    text: str
    answer: str
    names: tuple[str, ...]
    paths: tuple[Path, ...]
    choices: tuple[str, ...] = ()
    instruction: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict, hash=False)
    spoken: str = ""
    factors: Mapping[str, Factor] = field(default_factory=dict, hash=False)
    problem: str | None = None

    @property
    def gold(self) -> int | None:
        """Where the answer stands among the choices; None where it does not."""
        same = [i for i, c in enumerate(self.choices) if c.strip().casefold() == self.answer.strip().casefold()]
        return same[0] if len(same) == 1 else None


@lru_cache(maxsize=8)
def read_questions(root: Path) -> tuple[Question, ...]:
    """All rows, sorted by the digests of their ids (so that the first ones are a sample). Raises :class:`InputError`
    on a folder without a table, and on a table that cannot be read."""
    table = next((root / t for t in _TABLES if (root / t).is_file()), None)
    if table is None:
        raise InputError(
            f"has no {' or '.join(_TABLES)}", where=str(root), fix="Name the folder of a copy of MMAU-Pro."
        )
    rows = _rows(table)
    found = [_question(root, f"{table.name}, row {i}", i, row) for i, row in enumerate(rows)]
    ids = [q.id for q in found]
    if len(set(ids)) < len(ids):
        raise InputError(f"has two rows with the id {next(i for i in ids if ids.count(i) > 1)!r}", where=str(table))
    return tuple(sorted(found, key=lambda q: digest(q.id)))


def _rows(table: Path) -> list[dict[str, Any]]:
    try:
        if table.suffix == ".parquet":
            read: list[dict[str, Any]] = pq.read_table(table).to_pylist()
            return read
        return [json.loads(line) for line in table.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (pa.ArrowException, OSError, ValueError) as e:
        raise InputError(f"cannot be read: {e}", where=str(table)) from e


def _question(root: Path, where: str, number: int, row: Any) -> Question:
    if not isinstance(row, Mapping):
        return Question(f"row-{number:05d}", "closed", "", "", (), (), problem=f"{where} is no object")
    told = row.get("audio_path")
    names = tuple(str(p) for p in (told if isinstance(told, list | tuple) else [told]) if p)
    ident = row.get("id", row.get("unique_id"))
    category = str(row.get("category", "")).strip().casefold()
    kind: Kind = "open" if category == "open" else "instructions" if category == "instruction following" else "closed"
    settings = row.get("kwargs") or {}
    if isinstance(settings, str):
        try:
            settings = json.loads(settings)
        except ValueError:
            settings = {}
    found = Question(
        str(ident) if ident is not None else f"row-{number:05d}",
        kind,
        str(row.get("question") or row.get("prompt_transcription") or ""),
        str(row.get("answer") or ""),
        names,
        tuple(root / n for n in names),
        tuple(str(c) for c in row.get("choices") or ()),
        str(row.get("task_identifier") or ""),
        settings,
        str(row.get("prompt_transcription") or ""),
        {k: str(row[k]) for k in _FACTORS if isinstance(row.get(k), str) and row[k]},
    )
    problem = _problem(found, where)
    return found if problem is None else Question(**{**found.__dict__, "problem": problem})


def _problem(q: Question, where: str) -> str | None:
    if not q.names:
        return f"{where} lacks audio_path"
    if not q.text:
        return f"{where} lacks question"
    if any(Path(n).is_absolute() or ".." in Path(n).parts for n in q.names):
        return f"{where} names a file outside of the folder"
    if missing := [n for n, p in zip(q.names, q.paths, strict=True) if not p.is_file()]:
        return f"{missing[0]} is missing"
    if q.kind == "closed" and len(q.choices) < 2:
        return f"{where} has no choices"
    if q.kind == "closed" and q.gold is None:
        return f"{where} has answer={q.answer!r}, which is none of its choices"
    return None
