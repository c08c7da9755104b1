"""From an experiment to cells with an identity, before any network is in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from otoscope.core.errors import ModelError
from otoscope.core.identity import digest
from otoscope.core.naming import Spec
from otoscope.core.nouns import Model, Task
from otoscope.experiments.ask_separate import Outputs
from otoscope.experiments.bench import Bench
from otoscope.experiments.experiment import Cell, Experiment
from otoscope.experiments.fitting import Calibration, check, fitted, learns
from otoscope.interventions.catalogue import resolve_intervention
from otoscope.interventions.none import NoIntervention
from otoscope.models.resolve import resolve, twin_refusal
from otoscope.results.embeddings import EmbeddingStore, checked_folder
from otoscope.tasks.catalogue import resolve_condition, resolve_task


@dataclass(frozen=True)
class Settings:
    """How a run is executed. Recorded, and never part of an identity."""

    trust_remote_code: bool = False
    limit: int | None = None
    batch: int = 16
    share: bool = True  # settings of one item share its decoding, features and audio encoding
    warmup: int = 1  # answers that a model of answers gives, untimed, before the first item
    repeats: int = 1  # times that each item is asked; more than once, nothing is shared
    embeddings: Path | None = field(default_factory=checked_folder)  # where they are kept for other runs
    shard: tuple[int, int] = (0, 1)  # this process does shards with index % shard[1] == shard[0]
    #: Models that exist as Python objects only, by the name that cells use.
    objects: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Planned:
    """A cell with its identity. ``error`` says why its model cannot be had: its items then become failure rows."""

    cell: Cell
    id: str
    identity: Mapping[str, Any]
    error: str | None = None


@dataclass(frozen=True)
class Plan:
    """Cells to run, and those left out with the reason."""

    cells: tuple[Planned, ...]
    excluded: tuple[tuple[Cell, str], ...] = ()


class Workshop:
    """Resolves the parts of cells, one model at a time, and keeps what it resolved."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._models: dict[str, Model] = {}
        self._tasks: dict[tuple[str, int], Task] = {}
        self._calibrations: dict[tuple[tuple[str, ...], int], Calibration] = {}

    def model(self, cell: Cell) -> Model:
        name = str(cell.model)
        if name not in self._models:
            target = self.settings.objects.get(name, cell.model)
            self._models[name] = resolve(target, trust_remote_code=self.settings.trust_remote_code)
        return self._models[name]

    def task(self, cell: Cell) -> Task:
        return self._task(cell.task, cell.seed)

    def _task(self, spec: Spec, seed: int) -> Task:
        key = (str(spec), seed)
        if key not in self._tasks:
            self._tasks[key] = resolve_task(spec, seed=seed)
        return self._tasks[key]

    def calibration(self, cell: Cell) -> Calibration:
        """What the cell's intervention may learn from."""
        key = (tuple(map(str, cell.fit_on)), cell.seed)
        if key not in self._calibrations:
            self._calibrations[key] = Calibration.of([self._task(spec, cell.seed) for spec in cell.fit_on])
        return self._calibrations[key]

    def bench(self, cell: Cell, kept: Outputs) -> Bench:
        """The parts of a cell, its intervention fitted; ``kept`` is where what it learned is kept and looked for."""
        model, intervention = self.model(cell), resolve_intervention(cell.intervention)
        if learns(intervention):
            intervention = fitted(intervention, model, model.identity(), self.calibration(cell), kept)
        task = self.task(cell)
        return Bench(
            task=task,
            condition=resolve_condition(cell.condition),
            model=model,
            intervention=intervention,
            batch=self.settings.batch,
            repeats=self.settings.repeats,
            embeddings=self._embeddings(task, intervention),
        )

    def _embeddings(self, task: Task, intervention: Any) -> EmbeddingStore | None:
        """The embedding store, for tasks whose recordings other runs will ask about too (``shares_embeddings``). What
        an intervention makes of them is nobody else's."""
        folder = self.settings.embeddings
        used = getattr(task, "shares_embeddings", False) and isinstance(intervention, NoIntervention)
        return EmbeddingStore(folder) if used and folder is not None else None

    def keep_only(self, cell: Cell) -> None:
        """Let go of every model but this cell's: one network in memory at a time."""
        self._models = {k: v for k, v in self._models.items() if k == str(cell.model)}


def make_plan(experiment: Experiment, settings: Settings) -> Plan:
    """Expand, resolve and identify. Wrong names and parameters raise; a model whose weights are missing becomes a
    planned cell with ``error``; a cell whose task and model do not fit is excluded with the reason."""
    workshop = Workshop(settings)
    planned: list[Planned] = []
    excluded: list[tuple[Cell, str]] = []
    seen: dict[str, Cell] = {}
    for cell in experiment.cells():
        if reason := _no_twin(experiment, cell, settings):
            excluded.append((cell, reason))
            continue
        task = workshop.task(cell)
        bench_condition = resolve_condition(cell.condition)
        intervention = resolve_intervention(cell.intervention)
        model_identity: Mapping[str, Any]
        error = None
        card = None
        try:
            model = workshop.model(cell)
            card = model.card
            model_identity = model.identity()
        except ModelError as e:
            error, model_identity = str(e), {"unresolved": str(cell.model)}
        if card is not None:
            reason = task.accepts(card) or task_refuses(task, bench_condition.label, card)
            reason = reason or model_refuses(card, intervention)
            if reason:
                excluded.append((cell, reason))
                continue
        identity = {
            "task": task.identity(),
            "condition": bench_condition.label,
            "model": model_identity,
            "intervention": intervention.identity(),
            "seed": cell.seed,
        }
        if learns(intervention):
            identity["fit"] = check(cell, intervention, workshop.calibration(cell), task)
        cell_id = digest(identity, 16)
        if cell_id in seen:
            excluded.append((cell, f"is the same computation as {seen[cell_id].alias}"))
            continue
        seen[cell_id] = cell
        planned.append(Planned(cell, cell_id, identity, error))
    return Plan(tuple(planned), tuple(excluded))


def _no_twin(experiment: Experiment, cell: Cell, settings: Settings) -> str | None:
    """Why a twin that the experiment (not the user) added cannot be had: a front end without weights has none."""
    asked = {str(m) for m in (*experiment.models, *experiment.references)}
    added = cell.model.params.get("init") == "random" and str(cell.model) not in asked
    base = cell.model.without("init", "seed")
    if not added:
        return None
    if str(base) in settings.objects:
        return "a Python object has no random twin; name its class instead: file:my_model.py#MyEncoder"
    return twin_refusal(base, trust_remote_code=settings.trust_remote_code)


def model_refuses(card: Any, intervention: Any) -> str | None:
    """Why nothing can be changed inside a model (its card's ``no_interventions``), where something should be."""
    if isinstance(intervention, NoIntervention) or not card.extra.get("no_interventions"):
        return None
    return f"{card.name} {card.extra['no_interventions']}"


def task_refuses(task: Task, label: Any, card: Any) -> str | None:
    """A task may refuse a condition for a model (``refuses(label, card)``); most do not."""
    refuses = getattr(task, "refuses", None)
    return refuses(label, card) if refuses else None
