"""What a run would cost: item counts, and time and space from really running some items of each cell: ten, or two where
two take long already."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from otoscope.core.errors import OtoscopeError
from otoscope.core.items import Item
from otoscope.experiments.ask_separate import InMemory
from otoscope.experiments.bench import Bench
from otoscope.experiments.execute import ShardOutput, explain, run_shard
from otoscope.experiments.experiment import Experiment
from otoscope.experiments.plan import Plan, Planned, Settings, Workshop
from otoscope.results.schema import row_table
from otoscope.results.store import Results

PROBE_ITEMS, FEWER_ITEMS = 10, 2
#: Where the fewer items take longer than this (s), they are all that is tried.
PATIENCE_S = 0.5


@dataclass(frozen=True)
class Forecast:
    """One cell. ``seconds_left`` and ``bytes_left`` are None where the probe failed; ``note`` says why.
    ``more_rounds``: further items are placed once the first round is in, and are not in the estimate's count."""

    alias: str
    cell: str
    n_items: int
    n_done: int
    seconds_left: float | None
    bytes_left: float | None
    more_rounds: bool
    note: str = ""

    def describe(self) -> dict[str, Any]:
        return asdict(self)


def forecast(exp: Experiment, plan: Plan, settings: Settings, directory: Path) -> Iterator[Forecast]:
    """A line per cell, as each is tried. Loads each model once; writes nothing."""
    workshop = Workshop(replace(settings, embeddings=None))  # what encoding costs, and nothing is written
    done = _done(directory)
    outputs = InMemory()  # shared by the cells, as the run directory is
    for p in plan.cells:
        yield _line(exp, p, workshop, done.get(p.id, 0), outputs)


def _done(directory: Path) -> dict[str, int]:
    if not (directory / "experiment.json").exists():
        return {}
    return {c.cell: c.n_done for c in Results.open(directory).cells()}


def _line(exp: Experiment, p: Planned, workshop: Workshop, n_done: int, outputs: InMemory) -> Forecast:
    task = workshop.task(p.cell)
    items = list(task.items(0))
    n = len(items) if exp.limit is None else min(exp.limit, len(items))
    left = max(0, n - n_done)
    base: dict[str, Any] = {
        "alias": p.cell.alias,
        "cell": p.id,
        "n_items": n,
        "n_done": n_done,
        "more_rounds": task.rounds > 1,
    }
    if p.error:
        return Forecast(**base, seconds_left=None, bytes_left=None, note=p.error)
    if not left:
        return Forecast(**base, seconds_left=0.0, bytes_left=0.0, note="done")
    workshop.keep_only(p.cell)
    try:
        bench = workshop.bench(p.cell, outputs)
        bench.model.load()
        # Spread over the list, because neighbours share sounds and would look cheaper than the whole.
        step = max(1, n // PROBE_ITEMS)
        probe = items[:n:step][:PROBE_ITEMS]
        before = outputs.nbytes
        run_shard(bench, probe[:1], outputs)  # the first call pays for caches and lazy imports
        tried, out, each = _tried(bench, probe, outputs)
    except (OtoscopeError, OSError, RuntimeError) as e:
        return Forecast(**base, seconds_left=None, bytes_left=None, note=explain(e))
    sink = io.BytesIO()
    pq.write_table(row_table(p.id, 0, 0, out.rows), sink)
    kept = sum(a.nbytes for a in out.kept.values()) if out.kept else 0
    kept += outputs.nbytes - before  # unmodified outputs that no cell before this one would have kept
    note = f"{out.n_failed} of {tried} probe items failed" if out.n_failed else ""
    return Forecast(**base, seconds_left=each * left, bytes_left=(sink.tell() + kept) / tried * left, note=note)


def _tried(bench: Bench, probe: Sequence[Item], outputs: InMemory) -> tuple[int, ShardOutput, float]:
    """How many items were tried, what came out of them, and the seconds that one took."""
    for few in (probe[:: max(1, len(probe) // FEWER_ITEMS)][:FEWER_ITEMS], probe):
        start = time.perf_counter()
        out = run_shard(bench, few, outputs)
        took = time.perf_counter() - start
        if took > PATIENCE_S:
            break
    return len(few), out, took / len(few)
