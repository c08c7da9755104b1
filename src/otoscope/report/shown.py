"""What the run kept of single items, to be heard and seen: a model's own output, and what interventions made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow.compute as pc
from numpy.typing import NDArray

from otoscope.core.items import Item
from otoscope.core.naming import parse_spec
from otoscope.results.cells import Cell
from otoscope.results.store import Results
from otoscope.tasks.catalogue import resolve_task

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Shown:
    """One item of a task on a model; ``under``: by intervention, in the order of cells, the arrays that were kept."""

    task: str
    model: str
    seed: int
    item: str
    under: Mapping[str, Arrays]

    def find(self) -> Item:
        """The item with its sounds, made anew. Raises :class:`StopIteration` where the task has it no more."""
        task = resolve_task(parse_spec(self.task), seed=self.seed)
        return next(i for i in task.items() if i.id == self.item)


def shown(store: Results, family: str) -> list[Shown]:
    """Per task of ``family`` (the name before a slash), model and seed, the first item of which an intervention's
    output was kept in the unchanged condition."""
    cells: dict[tuple[str, str, int], list[Cell]] = {}
    for cell in store.cells():
        name = parse_spec(cell.task).name
        if cell.status != "superseded" and cell.condition == "intact" and name.partition("/")[0] == family:
            cells.setdefault((cell.task, cell.model, cell.seed), []).append(cell)
    found = []
    for (task, model, seed), own in cells.items():
        kept = {cell.intervention: _kept(store, cell) for cell in own}
        changed = [k for intervention, k in kept.items() if intervention != "none" and k]
        if not changed:
            continue
        item = next(iter(changed[0]))
        under = {name: store.get_arrays(k[item]) for name, k in kept.items() if item in k}
        found.append(Shown(task, model, seed, item, under))
    return found


def _kept(store: Results, cell: Cell) -> dict[str, str]:
    """Item -> digest, of items in order of which something was kept."""
    rows = store.rows(cells=[cell.cell], columns=["item", "output"])
    rows = rows.filter(pc.is_valid(rows.column("output")))
    return dict(reversed([(r["item"], r["output"]) for r in rows.to_pylist()]))
