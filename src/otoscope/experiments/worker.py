"""One worker: goes through the cells in order and does every shard that is missing and that nobody else holds.

Workers share nothing but the run directory, so any number of them, started at any time, finish one run together.
A worker that finds all remaining shards of a cell claimed moves on and comes back.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from threadpoolctl import threadpool_limits

from otoscope.core.errors import StoreError
from otoscope.core.items import Item
from otoscope.core.nouns import Task
from otoscope.experiments.bench import Bench
from otoscope.experiments.execute import explain, failed_rows, mark_training, readout_records, run_shard, unpack
from otoscope.experiments.plan import Plan, Planned, Settings, Workshop
from otoscope.experiments.sharing import MODEL_BYTES, Shelf, together
from otoscope.results.outputs import KeptOutputs
from otoscope.results.schema import row_table
from otoscope.results.shards import ShardKey, plan_shards
from otoscope.results.store import Results
from otoscope.tasks.catalogue import resolve_condition

#: Pause before looking again at shards that other workers hold (s).
POLL_S = 0.1


@dataclass(frozen=True)
class Event:
    """Something a display may want to show. ``kind``: cell | shard | readout | done | model-error | damaged | wait.
    ``n_stored``: sounds that the embedding store had."""

    kind: str
    cell: str
    alias: str
    n_items: int = 0
    n_done: int = 0
    n_failed: int = 0
    seconds: float = 0.0
    note: str = ""
    worker: int = 0
    n_stored: int = 0


@dataclass(frozen=True)
class Job:
    """Everything a worker process needs. ``retry`` holds the failing shards of earlier runs, each to be tried once:
    ``(cell, shard name) -> attempts so far``."""

    run_dir: str
    plan: Plan
    settings: Settings
    retry: Mapping[tuple[str, str], int] = field(default_factory=dict)


class Worker:
    """Does a job; ``emit`` is told what happens."""

    def __init__(self, job: Job, emit: Callable[[Event], None], index: int = 0) -> None:
        self.job, self.index = job, index
        self._emit = emit
        self.store = Results.open(job.run_dir)
        self.outputs = KeptOutputs(self.store)
        self.workshop = Workshop(job.settings)
        self.shelf: Shelf | None = None
        self._loaded: dict[int, Exception | None] = {}
        self._work_done = 0

    def run(self) -> None:
        # BLAS threads that wait for each other cost many times what they save on matrices of this size; the threads
        # of torch are not touched.
        with threadpool_limits(1, user_api="blas"):
            self._run()

    def _run(self) -> None:
        cells = self.job.plan.cells
        tasks = {p.id: self.workshop.task(p.cell) for p in cells}
        settings = self.job.settings
        pending = together(cells, tasks) if settings.share and settings.repeats == 1 else [[p] for p in cells]
        while pending:
            before = self._work_done
            pending = [group for group in pending if not self._advance_group(group)]
            if pending and self._work_done == before:
                time.sleep(POLL_S)

    def _advance_group(self, group: Sequence[Planned]) -> bool:
        """As :meth:`_advance`, for cells that share their items: each shard under one intervention after the other."""
        if len(group) == 1:
            return self._advance(group[0])
        work = {p.id: self._planned_shards(p, self.workshop.task(p.cell), 0, None) for p in group}
        held: set[str] = set()
        foreign: set[str] = set()
        for i in range(max(len(shards) for shards, _ in work.values())):
            self._share_anew(group[0])  # what is kept is of one shard
            for p in group:
                shards, n_items = work[p.id]
                if i < len(shards):
                    was_held, was_foreign = self._do_shards(p, shards[i : i + 1], n_items)
                    held |= {p.id} if was_held else set()
                    foreign |= {p.id} if was_foreign else set()
        self._share_anew(group[0])
        self.shelf = None
        if held:
            return False
        for p in group:
            if p.id not in foreign:
                self._emit(Event("done", p.id, p.cell.alias, n_items=work[p.id][1], worker=self.index))
        return True

    def _share_anew(self, planned: Planned) -> None:
        """Forget what cells have shared so far."""
        self.shelf = Shelf()
        remember = getattr(self.workshop.model(planned.cell), "remember", None)
        if remember is not None:
            remember(MODEL_BYTES)

    def _planned_shards(
        self, planned: Planned, task: Task, r: int, rows: Any
    ) -> tuple[Sequence[tuple[ShardKey, Sequence[Item]]], int]:
        """The shards of a round that keeps no outputs, told to the store, and how many items they hold."""
        items = self._items(planned, task, r, rows)
        shards = [(key, items[cut]) for key, cut in plan_shards(r, [i.id for i in items], task.shard_items)]
        self.store.plan_round(planned.id, r, len(items), [key for key, _ in shards])
        return shards, len(items)

    def _advance(self, planned: Planned) -> bool:
        """Do what can be done of a cell now; True once nothing of it is left for this worker."""
        task = self.workshop.task(planned.cell)
        rows = None
        total = 0
        for r in range(task.rounds):
            items = self._items(planned, task, r, rows)
            cuts = plan_shards(r, [i.id for i in items], task.shard_items)
            shards = [(key, items[cut]) for key, cut in cuts]
            keys = [key for key, _ in shards]
            read_key = ShardKey.of(r, 0, [i.id for i in items], kind="readout")
            self.store.plan_round(planned.id, r, len(items), [*keys, read_key] if task.keeps_outputs else keys)
            total += len(items)
            held, foreign = self._do_shards(planned, shards, total)
            if held:
                return False
            if foreign:
                return True
            if task.keeps_outputs:
                if not self._do_readout(planned, task, shards, read_key):
                    return False
                if r + 1 < task.rounds:
                    rows = self.store.rows(cells=[planned.id])
        self._emit(Event("done", planned.id, planned.cell.alias, n_items=total, worker=self.index))
        return True

    def _items(self, planned: Planned, task: Task, r: int, rows: Any) -> list[Item]:
        """The round's items under the limit. A directory that already holds more is finished, not cut."""
        items = list(task.items(r, rows))
        if self.job.settings.limit is None:
            return items
        stored = self.store.cell(planned.id).extent.items.get(r, 0)
        return items[: max(self.job.settings.limit, stored)]

    def _do_shards(
        self, planned: Planned, shards: Sequence[tuple[ShardKey, Sequence[Item]]], n_items: int
    ) -> tuple[bool, bool]:
        """(some shard is held by another worker, some shard belongs to another ``--shard`` part)."""
        held = foreign = False
        part, parts = self.job.settings.shard
        for key, shard in shards:
            if not self._wanted(planned.id, key):
                continue
            if key.index % parts != part:
                foreign = True
                continue
            with self.store.claim(planned.id, key) as mine:
                if not mine:
                    held = True
                elif self._wanted(planned.id, key):  # it may have been finished between the look and the claim
                    self._do_shard(planned, key, shard, n_items)
        return held, foreign

    def _wanted(self, cell: str, key: ShardKey) -> bool:
        state = self.store.shard_state(cell, key)
        if state == "failures":
            allowed = self.job.retry.get((cell, str(key)))
            return allowed is not None and self.store.attempts(cell, key) <= allowed
        return state == "missing"

    def _do_shard(self, planned: Planned, key: ShardKey, items: Sequence[Item], n_items: int) -> None:
        start = time.perf_counter()
        bench = self._bench(planned)
        recall = None
        if isinstance(bench, Exception):
            rows, n_failed = failed_rows(items, bench), len(items)
        else:
            out = run_shard(bench, items, self.outputs, self.shelf)
            rows, n_failed, recall = out.rows, out.n_failed, out.recall
            mark_training(rows, items, bench.model.card)
            if out.kept is not None:
                artefact = self.store.put_artefact(out.kept)
                for row in rows:
                    row["output"] = artefact
        counts = None if recall is None else recall.counts()
        self.store.write_shard(planned.id, key, row_table(planned.id, key.round, key.index, rows), counts)
        self._work_done += 1
        for what in () if recall is None else recall.damaged:
            self._emit(Event("damaged", planned.id, planned.cell.alias, note=what, worker=self.index))
        self._emit(
            Event(
                "shard",
                planned.id,
                planned.cell.alias,
                n_items=n_items,
                n_done=len(items),
                n_failed=n_failed,
                seconds=time.perf_counter() - start,
                worker=self.index,
                n_stored=0 if recall is None else recall.n_stored,
            )
        )

    def _bench(self, planned: Planned) -> Bench | Exception:
        """The cell's parts, loaded and fitted, or what went wrong."""
        error = self._model_error(planned)
        if error is not None:
            return error
        try:
            return self.workshop.bench(planned.cell, self.outputs)
        except StoreError:
            raise
        except Exception as e:
            return e

    def _model_error(self, planned: Planned) -> Exception | None:
        """Load the cell's model once; what went wrong, if anything."""
        self.workshop.keep_only(planned.cell)
        try:
            model = self.workshop.model(planned.cell)
        except Exception as e:
            return e
        key = id(model)
        if key not in self._loaded:
            try:
                model.load()
                _one_thread()
                if self.job.settings.warmup and (warm_up := getattr(model, "warm_up", None)) is not None:
                    warm_up(self.job.settings.warmup)
                self._loaded = {key: None}
            except Exception as e:
                self._loaded = {key: e}
                self._emit(Event("model-error", planned.id, planned.cell.alias, note=explain(e), worker=self.index))
        return self._loaded[key]

    def _do_readout(
        self, planned: Planned, task: Task, shards: Sequence[tuple[ShardKey, Sequence[Item]]], key: ShardKey
    ) -> bool:
        """Fit the readout of a complete round; False while another worker does it."""
        if not self._wanted(planned.id, key):
            return True
        with self.store.claim(planned.id, key) as mine:
            if not mine:
                return False
            if self._wanted(planned.id, key):
                start = time.perf_counter()
                rows = self._readout_rows(planned, task, shards)
                self.store.write_shard(planned.id, key, row_table(planned.id, key.round, key.index, rows))
                self._work_done += 1
                seconds = time.perf_counter() - start
                self._emit(Event("readout", planned.id, planned.cell.alias, seconds=seconds, worker=self.index))
        return True

    def _readout_rows(
        self, planned: Planned, task: Task, shards: Sequence[tuple[ShardKey, Sequence[Item]]]
    ) -> list[dict[str, Any]]:
        good: list[Item] = []
        outputs: list[Any] = []
        for item, output in self._kept(planned, shards):
            if output is not None:
                good.append(item)
                outputs.append(output)
        if not good:
            return []  # every item has its failure row already
        try:
            rows = readout_records(task.fit_readout(good, outputs))
            mark_training(rows, good, self.workshop.model(planned.cell).card)
            return rows
        except Exception as e:
            return failed_rows(good, e)

    def _kept(self, planned: Planned, shards: Sequence[tuple[ShardKey, Sequence[Item]]]) -> Iterator[tuple[Item, Any]]:
        condition = resolve_condition(planned.cell.condition)
        for key, shard in shards:
            table = self.store.read_shard(planned.id, key, columns=["output"])
            found = sorted({d for d in table.column("output").to_pylist() if d}) if table is not None else []
            outputs = unpack(shard, self.store.get_arrays(found[0])) if found else [None] * len(shard)
            for item, output in zip(shard, outputs, strict=True):
                yield condition(item), output


def _one_thread() -> None:
    """Fix torch's threads: their number changes the last bits of a result, and so must not depend on how many workers
    share the machine. Cores are used by ``--workers``."""
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(1)
