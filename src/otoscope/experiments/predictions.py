"""Answers made elsewhere: the questions of a task as a file, and a file of replies as a run directory.

A line of questions holds what a model must be given (the item's id, sound files written beside, text, system message,
bound on new tokens); a line of replies the item's id and its text. What comes in is scored like an own run, stands in
the same tables, and can be compared with it item by item; costs are what the file says, or nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from otoscope.audio import io
from otoscope.core.errors import InputError, UsageError
from otoscope.core.identity import canonical, digest, file_digest
from otoscope.core.items import Item
from otoscope.core.naming import parse_spec
from otoscope.core.nouns import Answered, Card, Generate, Reply, Task, TokenCounts
from otoscope.experiments.bench import DEFAULT_RATE
from otoscope.experiments.execute import explain
from otoscope.experiments.runner import environment
from otoscope.interventions.none import NoIntervention
from otoscope.results.cells import Cell
from otoscope.results.schema import Cost, failure_records, item_records, row_table
from otoscope.results.shards import plan_shards
from otoscope.results.store import Results
from otoscope.tasks.catalogue import resolve_condition, resolve_task

#: What a model that is not here is taken for.
_ANYBODY = Card("elsewhere", "audiolm", "a model that is not here", rate=DEFAULT_RATE, channels=1, layers=())
_NUMBERS = ("seconds", "audio_tokens", "text_tokens", "output_tokens")


@dataclass(frozen=True)
class Imported:
    """Counts of what came in: answered items, items without a reply, and the run's directory."""

    directory: Path
    n_answered: int
    n_missing: int


def write_questions(task: str, folder: Path, *, condition: str = "intact", limit: int | None = None) -> int:
    """Write ``questions.jsonl`` and its sounds into a new ``folder``; returns how many questions. An item whose sound
    cannot be had gets a line with the ``problem``. Raises :class:`UsageError` where the folder is there."""
    if folder.exists():
        raise UsageError("is there already", where=str(folder), fix="Name a new folder.")
    (folder / "audio").mkdir(parents=True)
    known = resolve_task(parse_spec(task))
    lines = list(_questions(known, condition, limit, folder))
    text = "".join(json.dumps(x, ensure_ascii=False) + "\n" for x in lines)
    (folder / "questions.jsonl").write_text(text, encoding="utf-8")
    return len(lines)


def _questions(task: Task, condition: str, limit: int | None, folder: Path) -> Iterator[dict[str, Any]]:
    change = resolve_condition(parse_spec(condition))
    written: set[str] = set()
    for item in list(task.items(0))[:limit]:
        try:
            changed = change(item)
            request = task.request(changed, _ANYBODY)
            if not isinstance(request, Generate):
                raise UsageError("asks no questions in words", where=task.name)
            sounds = changed.inputs.render(DEFAULT_RATE) if request.inputs else {}
            names = []
            for name in request.inputs:
                file = f"audio/{sounds[name].digest()[:16]}.wav"
                if file not in written:
                    io.write(folder / file, sounds[name])
                    written.add(file)
                names.append(file)
        except InputError as e:
            yield {"id": item.id, "problem": str(e)}
            continue
        asked = {"text": request.text, "system": request.system, "max_new_tokens": request.max_new_tokens}
        yield {"id": item.id, "audio": names, **asked}


def import_predictions(
    file: Path, task: str, model: str, into: Path, *, condition: str = "intact", limit: int | None = None
) -> Imported:
    """The replies of ``file`` (a JSON object a line: ``id``, ``reply``, and what is known of ``seconds``,
    ``audio_tokens``, ``text_tokens``, ``output_tokens``) as the cell of a model called ``model``.

    Raises :class:`InputError` on a line that cannot be used and on an id that the task does not have. Items without a
    reply become failed items.
    """
    replies = read_replies(file)
    known = resolve_task(parse_spec(task))
    items = list(known.items(0))[:limit]
    if strange := sorted(replies.keys() - {i.id for i in known.items(0)}):
        raise InputError(f"has the item {strange[0]!r}, which {task} does not", where=str(file))
    change = resolve_condition(parse_spec(condition))
    identity = {
        "task": known.identity(),
        "condition": change.label,
        "model": {"kind": "predictions", "name": model, "file": file_digest(file)},
        "intervention": NoIntervention().identity(),
        "seed": 0,
    }
    spec = str(parse_spec(task))
    cell = Cell(
        digest(identity, 16), f"{spec} | {condition} | {model} | imported", spec, condition, model, "none", 0,
        canonical(identity),
    )  # fmt: skip
    store = Results.open(into, create=True)
    about = {"name": "imported", "preset": "", "title": f"Replies of {model}, made elsewhere", "models": [model]}
    store.record_run({"experiment": about, "environment": environment()})
    store.register([cell])
    cuts = plan_shards(0, [i.id for i in items], known.shard_items)
    store.plan_round(cell.cell, 0, len(items), [key for key, _ in cuts])
    for key, cut in cuts:
        records = [r for item in items[cut] for r in _records(known, change, item, replies)]
        store.write_shard(cell.cell, key, row_table(cell.cell, 0, key.index, records))
    missing = sum(i.id not in replies for i in items)
    done = len(items) - missing
    store.update_cell(
        cell.cell, status="done", n_items=len(items), n_done=len(items), n_failed=store.progress(cell.cell).n_failed
    )
    return Imported(store.path, done, missing)


def _records(task: Task, change: Any, item: Item, replies: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    told = replies.get(item.id)
    if told is None:
        return failure_records(item, "the file has no reply to this item")
    counts = [int(told.get(n) or 0) for n in _NUMBERS[1:]]
    seconds = told.get("seconds")
    reply = Reply(
        told["reply"], (), TokenCounts(*counts), seconds={} if seconds is None else {"request": float(seconds)}
    )
    try:
        changed = change(item)
        rows = task.score(changed, Answered(reply))
    except Exception as e:  # as in a run: what breaks, breaks alone, and says why
        return failure_records(item, explain(e))
    unknown = {n for n in ("audio_tokens", "output_tokens") if n not in told}
    kept = [r for r in rows if r.metric not in unknown]
    return item_records(changed, kept, cost=Cost(seconds_model=None if seconds is None else float(seconds)))


def read_replies(file: Path) -> dict[str, dict[str, Any]]:
    """By item id. Raises :class:`InputError` naming the line."""
    try:
        lines: Sequence[str] = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as e:
        raise InputError(f"cannot be read: {e}", where=str(file)) from e
    found: dict[str, dict[str, Any]] = {}
    for number, text in enumerate(lines, 1):
        where = f"{file}, line {number}"
        if not text.strip():
            continue
        try:
            row = json.loads(text)
        except ValueError as e:
            raise InputError(f"is not JSON: {e}", where=where) from e
        if not isinstance(row, dict) or not isinstance(row.get("id"), str) or not isinstance(row.get("reply"), str):
            raise InputError("needs an id and a reply, both text", where=where)
        for name in _NUMBERS:
            value = row.get(name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or value < 0):
                raise InputError(f"{name} is no number from 0: {value!r}", where=where)
        if row["id"] in found:
            raise InputError(f"has a second reply to {row['id']!r}", where=where)
        found[row["id"]] = row
    if not found:
        raise InputError("holds no replies", where=str(file))
    return found
