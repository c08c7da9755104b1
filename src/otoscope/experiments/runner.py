"""Run an experiment into a directory: plan, register, work, account. The same command again finishes the rest."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from otoscope.core.errors import UsageError
from otoscope.core.identity import canonical
from otoscope.core.naming import Spec
from otoscope.experiments.engines import Engine, InProcess, Processes
from otoscope.experiments.environment import environment
from otoscope.experiments.experiment import Experiment, load_experiment
from otoscope.experiments.plan import Plan, Planned, Settings, make_plan
from otoscope.experiments.worker import Event, Job
from otoscope.results.cells import Cell as StoredCell
from otoscope.results.shardfiles import NOTHING_ASKED, Recalled
from otoscope.results.shards import Extent
from otoscope.results.store import Results
from otoscope.tasks.catalogue import resolve_task


@dataclass(frozen=True)
class Summary:
    """What a run came to. ``complete`` is false while shards that other machines hold are missing. ``recalled``: what
    the embedding store gave, over all shards of these cells."""

    results: Results
    plan: Plan
    n_items: int
    n_done: int
    n_failed: int
    complete: bool
    recalled: Recalled = NOTHING_ASKED

    @property
    def exit_code(self) -> int:
        return 1 if self.n_failed else 0


def run(
    experiment: str | Experiment,
    *,
    into: str | Path,
    models: Sequence[Any] = (),
    preset: str | None = None,
    workers: int = 1,
    settings: Settings | None = None,
    engine: Engine | None = None,
    emit: Callable[[Event], None] | None = None,
    **overrides: Any,
) -> Summary:
    """Run ``experiment`` (a name, a TOML file, an :class:`Experiment`) into the directory ``into``.

    ``models`` may mix names and Python objects (an object is run in this process only). ``overrides`` are those of
    :meth:`Experiment.override`: tasks, conditions, interventions, seed, limit, data, twins.
    """
    exp = load_experiment(experiment, preset) if isinstance(experiment, str) else experiment
    names, objects = _name_objects(models)
    exp = exp.override(models=names, **overrides)
    settings = replace(settings or Settings(), objects=objects)
    if objects and workers > 1:
        raise UsageError("models given as Python objects run in this process only", fix="Use workers=1.")
    return execute(
        exp, make_plan(exp, settings), into=into, workers=workers, settings=settings, engine=engine, emit=emit
    )


def execute(
    exp: Experiment,
    plan: Plan,
    *,
    into: str | Path,
    workers: int = 1,
    settings: Settings,
    engine: Engine | None = None,
    emit: Callable[[Event], None] | None = None,
) -> Summary:
    """Do what :func:`run` planned."""
    settings = replace(settings, limit=exp.limit)
    store = Results.open(into, create=True)
    register(store, exp, plan, settings, workers)
    emit = emit or (lambda event: None)
    job = Job(str(store.path), plan, settings, retry=failing_shards(store, plan))
    (engine or (InProcess() if workers <= 1 else Processes(workers))).run(job, emit)
    return account(store, plan)


def _name_objects(models: Sequence[Any]) -> tuple[list[str], dict[str, Any]]:
    names: list[str] = []
    objects: dict[str, Any] = {}
    for model in models:
        if isinstance(model, str | Spec):
            names.append(str(model))
            continue
        name = getattr(model, "name", None)
        name = name if isinstance(name, str) else (model if isinstance(model, type) else type(model)).__name__
        if name in objects:
            raise UsageError(f"two model objects are called {name!r}", fix="Give each its own `name` attribute.")
        objects[name] = model
        names.append(name)
    return names, objects


def register(store: Results, exp: Experiment, plan: Plan, settings: Settings, workers: int) -> None:
    """Write the run's record and its cells, and retire cells that stood for a model that could not be had before."""
    store.record_run(
        {
            "experiment": exp.describe(),
            "cells": {c.id: c.cell.alias for c in plan.cells},
            "excluded": [{"cell": c.alias, "reason": why} for c, why in plan.excluded],
            "execution": {
                "workers": workers,
                "batch": settings.batch,
                "share": settings.share,
                "warmup": settings.warmup,
                "repeats": settings.repeats,
                "shard": list(settings.shard),
                "embeddings": "off" if settings.embeddings is None else str(settings.embeddings),
                "trust_remote_code": settings.trust_remote_code,
            },
            "environment": environment(),
        }
    )
    store.register([_stored(p) for p in plan.cells])
    fresh = {p.cell.alias: p.id for p in plan.cells if p.error is None}
    stale = {
        c.cell: {"status": "superseded"}
        for c in store.cells()
        if c.status != "superseded" and c.error and c.alias in fresh and fresh[c.alias] != c.cell
    }
    if stale:
        store.update_cells(stale)


def _stored(p: Planned) -> StoredCell:
    c = p.cell
    return StoredCell(
        cell=p.id,
        alias=c.alias,
        task=str(c.task),
        condition=str(c.condition),
        model=str(c.model),
        intervention=str(c.intervention),
        seed=c.seed,
        identity=canonical(p.identity),
        error=p.error,
    )


def failing_shards(store: Results, plan: Plan) -> Mapping[tuple[str, str], int]:
    """Shards with failed items, and how often they were tried: each gets one more try in this run."""
    found: dict[tuple[str, str], int] = {}
    for p in plan.cells:
        for key in store.cell(p.id).extent.shards:
            if store.shard_state(p.id, key) == "failures":
                found[p.id, str(key)] = store.attempts(p.id, key)
    return found


def account(store: Results, plan: Plan) -> Summary:
    """Count what is there and write it to the cells."""
    changes: dict[str, dict[str, Any]] = {}
    total = done = failed = 0
    complete = True
    recalled = NOTHING_ASKED
    for p in plan.cells:
        extent = store.cell(p.id).extent
        tally = store.progress(p.id)
        bad = tally.n_failed + sum(_failed_readouts(store, p.id, extent))
        rounds = resolve_task(p.cell.task, seed=p.cell.seed).rounds
        whole = len(extent.items) == rounds and all(store.shard_state(p.id, k) != "missing" for k in extent.shards)
        status = ("failed" if bad and bad >= extent.n_items else "done") if whole else "running"
        changes[p.id] = {"status": status, "n_done": tally.n_items, "n_failed": bad}
        total, done, failed = total + extent.n_items, done + tally.n_items, failed + bad
        complete &= whole
        recalled += tally.recalled
    store.update_cells(changes)
    return Summary(store, plan, total, done, failed, complete, recalled)


def _failed_readouts(store: Results, cell: str, extent: Extent) -> list[int]:
    """Items whose round's readout could not be fitted (their own rows exist, their scores do not)."""
    counts = []
    for key in extent.shards:
        if key.kind == "readout" and store.shard_state(cell, key) == "failures":
            rows = store.read_shard(cell, key, columns=["item", "status"])
            counts.append(0 if rows is None else rows.num_rows)
    return counts
