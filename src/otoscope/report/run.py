"""What a page is about: the scores, cells, records and failures of one run directory, read once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from otoscope.core.naming import parse_spec
from otoscope.experiments.scores import scores_of
from otoscope.results.cells import Cell
from otoscope.results.scoring import Score
from otoscope.results.store import Results

#: Reasons kept per cell; the rest is counted.
_REASONS = 3


@dataclass(frozen=True)
class Failures:
    """Failed items of one cell, and how often each of the first reasons was given."""

    cell: str
    task: str
    condition: str
    model: str
    n_items: int
    n_failed: int
    reasons: tuple[tuple[str, int], ...]
    n_other_reasons: int = 0


@dataclass(frozen=True)
class Run:
    """A run directory in memory. ``records`` are the entries of ``experiment.json``, oldest first; ``store`` is for
    sections that read more than scores."""

    name: str
    scores: Sequence[Score]
    cells: Sequence[Cell] = ()
    records: Sequence[Mapping[str, Any]] = ()
    failures: Sequence[Failures] = field(default=())
    store: Results | None = None

    @classmethod
    def read(cls, directory: str | Path | Results, scores: Sequence[Score] | None = None) -> Run:
        """Read a directory. Raises :class:`~otoscope.core.errors.StoreError` on what is not a run directory."""
        store = directory if isinstance(directory, Results) else Results.open(directory)
        # A run that was killed has rows that its cells do not count yet.
        cells = [_counted(store, c) for c in store.cells() if c.status != "superseded"]
        failures = [f for c in cells if (f := _failures(store, c)) is not None]
        found = scores_of(store) if scores is None else list(scores)
        return cls(store.path.resolve().name, found, cells, store.experiment()["runs"], failures, store)

    @property
    def title(self) -> str:
        titles = [str(r["experiment"].get("title", "")) for r in self.records if "experiment" in r]
        return next((t for t in reversed(titles) if t), self.name)

    def tasks(self) -> list[str]:
        """Task names without parameters, in the order of cells (of scores where there are no cells)."""
        names = [c.task for c in self.cells] or [s.task for s in self.scores]
        return list(dict.fromkeys(parse_spec(n).name for n in names))

    def of_task(self, name: str) -> list[Score]:
        """Scores of every variant of a task."""
        return [s for s in self.scores if parse_spec(s.task).name == name]


@dataclass(frozen=True)
class Roles:
    """Who is who: the models under test, what they are read against, and random-weight twins by their original."""

    subjects: tuple[str, ...]
    references: tuple[str, ...]
    twins: Mapping[str, tuple[str, ...]]

    @property
    def all_twins(self) -> list[str]:
        return [t for twins in self.twins.values() for t in twins]


def roles_of(run: Run) -> Roles:
    """From the records: ``models`` of any run are subjects, ``references`` are the rest. A twin is the same name with
    ``init=random`` beside a model of the run. Without records every model that is no twin is a subject."""
    present = list(dict.fromkeys([*(c.model for c in run.cells), *(s.model for s in run.scores)]))
    bases = {str(parse_spec(m)): m for m in present}
    twins: dict[str, list[str]] = {}
    for m in present:
        spec = parse_spec(m)
        base = bases.get(str(spec.without("init", "seed")))
        if spec.params.get("init") == "random" and base is not None and base != m:
            twins.setdefault(base, []).append(m)
    is_twin = {t for found in twins.values() for t in found}
    experiments = [r["experiment"] for r in run.records if "experiment" in r]
    grids = [*experiments, *(block for e in experiments for block in e.get("grid", ()))]
    named = {m for g in grids for m in g.get("models") or ()}
    against = {m for g in grids for m in g.get("references") or ()} - named
    subjects = tuple(m for m in present if m not in is_twin and m not in against)
    references = tuple(m for m in present if m not in is_twin and m in against)
    return Roles(subjects, references, {m: tuple(t) for m, t in twins.items()})


def _counted(store: Results, cell: Cell) -> Cell:
    tally = store.progress(cell.cell)
    return cell.changed(n_done=tally.n_items, n_failed=tally.n_failed)


def _failures(store: Results, cell: Cell) -> Failures | None:
    rows = store.rows(cells=[cell.cell], columns=["item", "status", "note"])
    failed = rows.filter(pc.equal(rows.column("status").cast(pa.string()), "failed"))
    if not failed.num_rows:
        return None
    counts: dict[str, set[str]] = {}
    for row in failed.select(["item", "note"]).to_pylist():
        counts.setdefault(str(row["note"]), set()).add(row["item"])
    items = {i for found in counts.values() for i in found}
    first = tuple((reason, len(found)) for reason, found in list(counts.items())[:_REASONS])
    return Failures(
        cell.cell,
        cell.task,
        cell.condition,
        cell.model,
        cell.n_items,
        len(items),
        first,
        max(0, len(counts) - _REASONS),
    )
