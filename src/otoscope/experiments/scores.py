"""Scores and findings of a run directory: rows read from the store, measured as each cell's task says."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from otoscope.core.naming import parse_spec
from otoscope.core.nouns import Task
from otoscope.results.columns import ROW_COLUMNS
from otoscope.results.scoring import Score, Scores, score_cell
from otoscope.results.store import Results
from otoscope.tasks.catalogue import resolve_task

#: Seed of the bootstrap; fixed, so that two readings of one directory print the same intervals.
BOOTSTRAP_SEED = 20260612

Table = tuple[str, Sequence[str], Sequence[Sequence[Any]]]


def scores_of(directory: str | Path | Results, *, n_resamples: int = 2000) -> Scores:
    """Every score of the directory, cell by cell. Superseded cells are left out."""
    store = directory if isinstance(directory, Results) else Results.open(directory)
    found = Scores()
    for cell in store.cells():
        if cell.status == "superseded":
            continue
        task = _task(cell.task, cell.seed)
        rows = store.rows(cells=[cell.cell], columns=ROW_COLUMNS)
        scores = score_cell(rows, task.measures(), cell=cell, seed=BOOTSTRAP_SEED, n_resamples=n_resamples)
        # A task measures encoders and observers; what this kind of model never gives is no score. Failures stay.
        found += [s for s in scores if s.status != "empty" or s.n_failed or s.n_undefined]
    return found


def findings_of(directory: str | Path | Results, scores: Sequence[Score] | None = None) -> list[Table]:
    """What the run says in a few tables: each task family's static ``findings(scores, cells)``, or, where it reads
    paired rows, ``findings_of_rows(results)``, once."""
    store = directory if isinstance(directory, Results) else Results.open(directory)
    scores = scores_of(store) if scores is None else scores
    cells = [c for c in store.cells() if c.status != "superseded"]
    told: set[Any] = set()
    tables: list[Table] = []
    for cell in cells:
        task = _task(cell.task, cell.seed)
        tell = getattr(task, "findings", None)
        if tell is not None and tell not in told:
            told.add(tell)
            tables += tell(scores, cells)
        read = getattr(task, "findings_of_rows", None)
        if read is not None and read not in told:
            told.add(read)
            tables += read(store)
    return tables


def _task(name: str, seed: int) -> Task:
    return resolve_task(parse_spec(name), seed=seed)
