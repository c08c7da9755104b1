"""An experiment: tasks x conditions x models x interventions x seeds, as a Python object or a plain TOML file.

A file holds a ``title``, a ``default`` preset and one table per preset. A preset has ``models`` (the subjects:
``--model`` replaces them), ``references`` (models every subject is read against: they always run), and
``[[presets.NAME.grid]]`` blocks, because tasks differ in the conditions that make sense for them. Nothing in the file
is executed.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from otoscope.core.display import Displayed, Shown
from otoscope.core.errors import InputError, UsageError
from otoscope.core.naming import Spec, parse_spec
from otoscope.core.registry import suggestions
from otoscope.models.groups import expand

_GRID_KEYS = {"tasks", "conditions", "models", "references", "interventions", "twins"}
_PRESET_KEYS = {
    "models", "references", "interventions", "seeds", "twins", "always_twins", "grid", "about", "limit", "fit_on"
}  # fmt: skip
_FILE_KEYS = {"title", "about", "default", "presets", "notes"}


@dataclass(frozen=True)
class Block:
    """One block of the grid. ``models``, ``references``, ``twins`` None, no ``interventions``: the experiment's own."""

    tasks: tuple[Spec, ...]
    conditions: tuple[Spec, ...] = (Spec("intact"),)
    models: tuple[Spec, ...] | None = None
    references: tuple[Spec, ...] | None = None
    interventions: tuple[Spec, ...] = ()
    twins: int | None = None


@dataclass(frozen=True)
class Cell:
    """One line of the expanded grid, before anything is loaded."""

    task: Spec
    condition: Spec
    model: Spec
    intervention: Spec
    seed: int
    fit_on: tuple[Spec, ...] = ()

    @property
    def alias(self) -> str:
        parts = [str(self.task), str(self.condition), str(self.model)]
        if str(self.intervention) != "none":
            parts.append(str(self.intervention))
        return " | ".join([*parts, f"seed {self.seed}"])


@dataclass(frozen=True)
class Experiment(Displayed):
    """What is run. ``twins`` random-weight twins are added beside every subject encoder: beside subjects of the user's
    own only where they are asked for, or where the protocol cannot do without (``always_twins``). ``fit_on`` are the
    tasks whose items interventions may learn from."""

    name: str
    grid: tuple[Block, ...]
    models: tuple[Spec, ...]
    references: tuple[Spec, ...] = ()
    interventions: tuple[Spec, ...] = (Spec("none"),)
    seeds: tuple[int, ...] = (0,)
    twins: int = 0
    always_twins: bool = False
    limit: int | None = None
    fit_on: tuple[Spec, ...] = ()
    title: str = ""
    preset: str = ""
    notes: tuple[str, ...] = field(default=())

    def shown(self) -> Shown:
        """One line per block of the grid."""
        facts = {"preset": self.preset, "cells": len(self.cells()), "seeds": self.seeds, "items at most": self.limit}
        facts |= {"fitted on": self.fit_on, "notes": list(self.notes)}
        header = ("tasks", "conditions", "models", "interventions")
        rows = [
            (
                b.tasks,
                b.conditions,
                (*(self.references if b.references is None else b.references), *(b.models or self.models)),
                b.interventions or self.interventions,
            )
            for b in self.grid
        ]
        return Shown(f"Experiment {self.name}: {self.title}".rstrip(": "), facts, header, rows)

    def __repr__(self) -> str:
        return f"Experiment({self.name!r}, preset={self.preset!r}, {len(self.cells())} cells)"

    def cells(self) -> list[Cell]:
        """The grid in a fixed order: by model first, so that a worker loads each one once."""
        found: dict[Cell, None] = {}
        for block in self.grid:
            references = self.references if block.references is None else block.references
            twins = self.twins if block.twins is None else min(block.twins, self.twins)
            subjects = self.models if block.models is None else block.models
            models = [*references, *(m for s in subjects for m in with_twins(s, twins))]
            for model in models:
                for task in block.tasks:
                    for condition in block.conditions:
                        for intervention in block.interventions or self.interventions:
                            for seed in self.seeds:
                                found[Cell(task, condition, model, intervention, seed, self.fit_on)] = None
        order: dict[str, int] = {}
        for cell in found:
            order.setdefault(str(cell.model), len(order))
        return sorted(found, key=lambda c: order[str(c.model)])

    def override(
        self,
        *,
        tasks: Sequence[str] = (),
        conditions: Sequence[str] = (),
        models: Sequence[str] = (),
        interventions: Sequence[str] = (),
        seed: int | None = None,
        limit: int | None = None,
        data: str | None = None,
        twins: int | None = None,
        fit_on: Sequence[str] = (),
    ) -> Experiment:
        """The experiment with the command line's choices put in. Tasks select blocks by name (with or without
        parameters); a task that no block names becomes a block of its own."""
        grid = self.grid
        if tasks:
            grid = tuple(_select(self.grid, parse_spec(t)) for t in tasks)
        if conditions:
            grid = tuple(replace(b, conditions=tuple(map(parse_spec, conditions))) for b in grid)
        if models:
            grid = tuple(replace(b, models=None) for b in grid)
        if interventions:
            grid = tuple(replace(b, interventions=()) for b in grid)
        fits = tuple(map(parse_spec, fit_on)) or self.fit_on
        if data is not None:
            fits = tuple(_with_data(t, data) for t in fits)
            grid = tuple(replace(b, tasks=tuple(_with_data(t, data) for t in b.tasks)) for b in grid)
        return replace(
            self,
            grid=grid,
            models=_members(map(parse_spec, models)) or self.models,
            interventions=tuple(map(parse_spec, interventions)) or self.interventions,
            seeds=self.seeds if seed is None else (seed,),
            limit=self.limit if limit is None else limit,
            fit_on=fits,
            twins=self._twins(bool(models)) if twins is None else twins,
        )

    def _twins(self, own_models: bool) -> int:
        return self.twins if self.always_twins or not own_models else 0

    def describe(self) -> dict[str, Any]:
        """Plain JSON of the experiment, for ``experiment.json``."""
        return {
            "name": self.name,
            "preset": self.preset,
            "title": self.title,
            "models": [str(m) for m in self.models],
            "references": [str(m) for m in self.references],
            "interventions": [str(i) for i in self.interventions],
            "seeds": list(self.seeds),
            "twins": self.twins,
            "limit": self.limit,
            "fit_on": [str(t) for t in self.fit_on],
            "grid": [
                {
                    "tasks": [str(t) for t in b.tasks],
                    "conditions": [str(c) for c in b.conditions],
                    "models": None if b.models is None else [str(m) for m in b.models],
                    "references": None if b.references is None else [str(m) for m in b.references],
                    "interventions": [str(i) for i in b.interventions],
                    "twins": b.twins,
                }
                for b in self.grid
            ],
        }


def with_twins(model: Spec, n: int) -> list[Spec]:
    """``model`` and ``n`` twins of it with fresh weights; the seed of a model that is itself random is skipped."""
    taken = model.params.get("seed") if model.params.get("init") == "random" else None
    seeds = [s for s in range(1, n + 2) if s != taken][:n]
    return [model, *(model.with_params(init="random", seed=s) for s in seeds)]


def _select(grid: Sequence[Block], task: Spec) -> Block:
    for block in grid:
        for known in block.tasks:
            if known == task or (known.name == task.name and not task.params):
                return replace(block, tasks=(known,))
    for block in grid:
        if any(known.name == task.name for known in block.tasks):
            return replace(block, tasks=(task,))
    return Block(tasks=(task,))


def _with_data(task: Spec, data: str) -> Spec:
    from otoscope.tasks.catalogue import takes_data

    return task.with_params(data=data) if takes_data(task) else task


def named_experiments() -> dict[str, Path]:
    """The experiments that come with the package, by name."""
    folder = Path(str(files("otoscope.experiments") / "named"))
    return {p.stem: p for p in sorted(folder.glob("*.toml"))}


def load_experiment(name: str, preset: str | None = None) -> Experiment:
    """A named experiment, or a TOML file. Wrong names are a :class:`UsageError`, a bad file an :class:`InputError`."""
    known = named_experiments()
    path = known.get(name) or Path(name)
    if name not in known and path.suffix != ".toml":
        near = suggestions(name, list(known))
        raise UsageError(
            f"there is no experiment {name!r}",
            fix=f"Did you mean {' or '.join(near)}?" if near else "Name a TOML file, or see: otoscope ls experiments",
        )
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as e:
        raise InputError(f"cannot be read: {e}", where=str(path)) from e
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as e:
        raise InputError(f"is not valid TOML: {e}", where=str(path)) from e
    return parse_experiment(data, name=path.stem, preset=preset, where=str(path))


def parse_experiment(data: Mapping[str, Any], *, name: str, preset: str | None, where: str) -> Experiment:
    """The parsed TOML of :func:`load_experiment` as an :class:`Experiment`; unknown keys are errors."""
    _known(data, _FILE_KEYS, where)
    presets = data.get("presets")
    if not isinstance(presets, Mapping) or not presets:
        raise InputError("has no [presets.NAME] table", where=where)
    chosen = preset or data.get("default") or next(iter(presets))
    if chosen not in presets:
        near = suggestions(chosen, list(presets)) or sorted(presets)
        raise UsageError(f"experiment {name!r} has no preset {chosen!r}", fix=f"It has: {', '.join(near)}.")
    table = presets[chosen]
    here = f"{where} [presets.{chosen}]"
    _known(table, _PRESET_KEYS, here)
    grid = table.get("grid")
    if not grid:
        raise InputError("needs at least one [[presets.NAME.grid]] block with tasks", where=here)
    return Experiment(
        name=name,
        grid=tuple(_block(b, here) for b in grid),
        models=_members(_specs(table, "models", here)),
        references=_members(_specs(table, "references", here)),
        interventions=_specs(table, "interventions", here) or (Spec("none"),),
        seeds=tuple(int(s) for s in table.get("seeds", [0])),
        twins=int(table.get("twins", 0)),
        always_twins=bool(table.get("always_twins", False)),
        limit=table.get("limit"),
        fit_on=_specs(table, "fit_on", here),
        title=str(data.get("title", name)),
        preset=chosen,
        notes=tuple(data.get("notes", ())),
    )


def _block(table: Any, where: str) -> Block:
    if not isinstance(table, Mapping):
        raise InputError("a grid block must be a table", where=where)
    _known(table, _GRID_KEYS, f"{where} grid")
    tasks = _specs(table, "tasks", where)
    if not tasks:
        raise InputError("a grid block names no tasks", where=where)
    return Block(
        tasks=tasks,
        conditions=_specs(table, "conditions", where) or (Spec("intact"),),
        models=_members(_specs(table, "models", where)) if "models" in table else None,
        references=_members(_specs(table, "references", where)) if "references" in table else None,
        interventions=_specs(table, "interventions", where),
        twins=table.get("twins"),
    )


def _members(specs: Iterable[Spec]) -> tuple[Spec, ...]:
    """Models, with groups spelt out."""
    return tuple(dict.fromkeys(member for spec in specs for member in expand(spec)))


def _specs(table: Mapping[str, Any], key: str, where: str) -> tuple[Spec, ...]:
    values = table.get(key, [])
    if not isinstance(values, list) or not all(isinstance(v, str) for v in values):
        raise InputError(f"{key!r} must be a list of names", where=where)
    return tuple(parse_spec(v) for v in values)


def _known(table: Mapping[str, Any], allowed: set[str], where: str) -> None:
    for key in table:
        if key not in allowed:
            near = suggestions(key, sorted(allowed)) or sorted(allowed)
            raise InputError(f"unknown key {key!r}", where=where, fix=f"Known: {', '.join(near)}.")
