"""Reading stored replies again: another parser, the same run, no model.

The rows of a run hold every reply as it was given. What a parser makes of it is a pure function of the reply and the
item, so a new parser needs the task's items and nothing else; with the run's own parser the stored rows come back to
the last bit, and :func:`rescore` counts how many do not. What doesn't depend on the words (seconds, tokens, failures)
stays as it was stored. The run directory is not changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from otoscope.core.errors import InputError, UsageError
from otoscope.core.items import Item
from otoscope.core.naming import parse_spec
from otoscope.core.nouns import Rescorable
from otoscope.experiments.scores import BOOTSTRAP_SEED
from otoscope.results.cells import Cell
from otoscope.results.columns import ROW_COLUMNS
from otoscope.results.schema import item_records, row_table
from otoscope.results.scoring import Score, score_cell
from otoscope.results.store import Results
from otoscope.tasks.catalogue import resolve_condition, resolve_task

#: Metrics that say what is true: no parser changes them, so a difference means other items.
_TRUTH = ("true_option", "true_class", "words", "words_official")


@dataclass(frozen=True)
class Rescored:
    """``scores`` under another parser, cell by cell; ``n_replies`` were read again, ``n_changed`` of them to another
    value. ``skipped``: cells whose answers are not words, by alias."""

    parser: str
    scores: tuple[Score, ...]
    n_replies: int
    n_changed: int
    skipped: tuple[str, ...]


def rescore(directory: str | Path | Results, parser: str | None = None, *, n_resamples: int = 2000) -> Rescored:
    """Scores of a run as if ``parser`` had read its replies (None: each cell's own parser, which changes nothing).

    Raises :class:`UsageError` where nothing can be read again or a task has no such parser, and :class:`InputError`
    where the items on disk are not those that were asked.
    """
    store = directory if isinstance(directory, Results) else Results.open(directory)
    scores: list[Score] = []
    skipped: list[str] = []
    n = changed = 0
    cells = [c for c in store.cells() if c.status != "superseded"]
    for cell in cells:
        task = resolve_task(parse_spec(cell.task), seed=cell.seed)
        if not isinstance(task, Rescorable):
            skipped.append(cell.alias)
            continue
        task = task if parser is None else task.with_parser(parser)
        rows, replies, other = _read_again(store, cell, task)
        n, changed = n + replies, changed + other
        scores += score_cell(rows, task.measures(), cell=cell, seed=BOOTSTRAP_SEED, n_resamples=n_resamples)
    if len(skipped) == len(cells):
        raise UsageError("holds no replies that could be read again", where=str(store.path))
    kept = tuple(s for s in scores if s.status != "empty" or s.n_failed or s.n_undefined)
    return Rescored(parser or "own", kept, n, changed, tuple(skipped))


def _read_again(store: Results, cell: Cell, task: Rescorable) -> tuple[pa.Table, int, int]:
    """The cell's rows with those that come from words made anew; how many replies, how many of them changed."""
    stored = store.rows(cells=[cell.cell])
    by_words = pc.is_in(stored.column("metric").cast(pa.string()), pa.array(sorted(task.rescored)))
    old = stored.filter(by_words).to_pylist()
    replies: dict[str, dict[str, Any]] = {r["item"]: r for r in old if r["raw"] is not None}
    before: dict[str, dict[str, float]] = {}
    for row in old:
        before.setdefault(row["item"], {})[row["metric"]] = row["value"]
    items = _items(task, cell, replies)
    records: list[dict[str, Any]] = []
    changed = 0
    for name, row in replies.items():
        rows = task.rescore(items[name], row["raw"])
        now = {r.metric: r.value for r in rows}
        _same_truth(cell, name, before[name], now)
        changed += now != before[name]
        records += [{**r, "in_training": row["in_training"]} for r in item_records(items[name], rows)]
    made = row_table(cell.cell, 0, 0, records).select(list(ROW_COLUMNS))
    rest = stored.filter(pc.invert(by_words)).select(list(ROW_COLUMNS))
    return pa.concat_tables([made, rest]).unify_dictionaries(), len(replies), changed


def _items(task: Rescorable, cell: Cell, wanted: Iterable[str]) -> dict[str, Item]:
    condition = resolve_condition(parse_spec(cell.condition))
    missing = set(wanted)
    found: dict[str, Item] = {}
    for item in task.items(0):
        if item.id in missing:
            found[item.id] = condition(item)
    if gone := sorted(missing - found.keys()):
        raise InputError(f"its task no longer has the item {gone[0]!r}", where=cell.alias, fix=_OTHER_DATA)
    return found


def _same_truth(cell: Cell, item: str, before: dict[str, float], now: dict[str, Any]) -> None:
    for metric in _TRUTH:
        if metric in before and before[metric] != now.get(metric):
            raise InputError(
                f"{item!r} has another {metric} on disk than in the run", where=cell.alias, fix=_OTHER_DATA
            )


_OTHER_DATA = "Give the data back the form that they had when the run was made; replies are read against its items."


def differences(stored: Sequence[Score], again: Sequence[Score]) -> list[tuple[Score, Score]]:
    """Scores of the run beside those of the same cell, metric and factors under the other parser, where they differ."""
    key = lambda s: (s.cell, s.metric, tuple(sorted(s.factors.items())))  # noqa: E731
    known = {key(s): s for s in stored}
    pairs = [(known[key(s)], s) for s in again if key(s) in known]
    return [(a, b) for a, b in pairs if a.value != b.value]
