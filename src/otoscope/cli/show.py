"""``otoscope show``: what is known of a name."""

from __future__ import annotations

from typing import Any

import click

from otoscope.cli._common import json_option, print_json
from otoscope.core.errors import UsageError
from otoscope.core.identity import jsonable
from otoscope.core.naming import parse_spec
from otoscope.core.registry import suggestions


@click.command(
    epilog="""\b
Examples:
  otoscope show hubert-large
  otoscope show bmld
  otoscope show magnitude-only"""
)
@click.argument("name")
@json_option
def command(name: str, as_json: bool) -> None:
    """Print what is known of NAME without loading it: a model, a group of models, a task, a condition, an intervention
    or an experiment.

    A model's card says what it takes, which cues it can use by construction, its licence, where it comes from, and the
    traps to know before reading its numbers.
    """
    facts = [
        f
        for f in (
            _model(name),
            _group(name),
            _task(name),
            _condition(name),
            _intervention(name),
            _experiment(name),
            _suite(name),
        )
        if f
    ]
    if not facts:
        raise UsageError(f"nothing is called {name!r}", fix=_hint(name))
    if as_json:
        print_json(facts)
        return
    for fact in facts:
        for key, value in fact.items():
            if value in (None, "", [], {}, ()):
                continue
            lines = value if isinstance(value, list) else [value]
            if isinstance(value, tuple):
                lines = [", ".join(map(str, value))]
            for i, line in enumerate(lines):
                click.echo(f"{key if i == 0 else '':<18} {line}")
        click.echo()


def _model(name: str) -> dict[str, Any] | None:
    from otoscope.models.catalogue import MODELS
    from otoscope.models.resolve import card_for
    from otoscope.tasks.catalogue import TASKS

    spec = parse_spec(name)
    if spec.name in TASKS:  # tasks have a slash in their names, like hub ids
        return None
    if spec.name not in MODELS and not ("/" in spec.name or spec.name.startswith(("file:", "xares:", "hear:"))):
        return None
    card = card_for(spec)
    return {k: v if isinstance(v, list | tuple) else jsonable(v) for k, v in card.facts().items()}


def _group(name: str) -> dict[str, Any] | None:
    from otoscope.models.groups import GROUPS, expand

    spec = parse_spec(name)
    if spec.name not in GROUPS:
        return None
    members = [str(member) for member in expand(spec)]
    return {"group": name, "what it is": GROUPS[spec.name].summary, "models": members}


def _task(name: str) -> dict[str, Any] | None:
    from otoscope.tasks.catalogue import TASKS, resolve_task

    if parse_spec(name).name not in TASKS:
        return None
    task = resolve_task(name)
    identity = dict(task.identity())
    return {
        "task": name,
        "what it is": TASKS.entry(parse_spec(name).name).summary,
        "parameters": [f"{k} = {v}" for k, v in identity.items()],
        "scores": [f"{m.metric}{f' ({m.unit})' if m.unit else ''}: {m.doc}" for m in task.measures()],
        "rounds": task.rounds,
    }


def _condition(name: str) -> dict[str, Any] | None:
    from otoscope.tasks.catalogue import CONDITIONS, resolve_condition

    spec = parse_spec(name)
    if spec.name not in CONDITIONS:
        return None
    return {
        "condition": name,
        "what it is": CONDITIONS.entry(spec.name).summary,
        "identity": str(jsonable(resolve_condition(spec).label)),
    }


def _intervention(name: str) -> dict[str, Any] | None:
    from otoscope.interventions.catalogue import INTERVENTIONS

    spec = parse_spec(name)
    if spec.name not in INTERVENTIONS:
        return None
    return {"intervention": name, "what it is": INTERVENTIONS.entry(spec.name).summary}


def _experiment(name: str) -> dict[str, Any] | None:
    from otoscope.experiments.experiment import load_experiment, named_experiments

    known = named_experiments()
    if name not in known:
        return None
    import tomllib

    presets = tomllib.loads(known[name].read_text(encoding="utf-8"))["presets"]
    exp = load_experiment(name)
    return {
        "experiment": name,
        "what it is": exp.title,
        "presets": [f"{k}: {v.get('about', '')}" for k, v in presets.items()],
        "default": exp.preset,
        "tasks": sorted({str(t) for b in exp.grid for t in b.tasks}),
        "models": [str(m) for m in (*exp.references, *exp.models)],
        "cells": len(exp.cells()),
    }


def _suite(name: str) -> dict[str, Any] | None:
    from otoscope.experiments.suite import find_suite, named_suites

    suite = find_suite(name) if name in named_suites() else None
    if suite is None:
        return None
    return {
        "suite": name,
        "what it is": suite.title,
        "parts": [f"{p.name}: otoscope run {p.experiment} --preset {p.preset}" for p in suite.parts],
    }


def _hint(name: str) -> str:
    from otoscope.experiments.experiment import named_experiments
    from otoscope.experiments.suite import named_suites
    from otoscope.interventions.catalogue import INTERVENTIONS
    from otoscope.models.catalogue import MODELS
    from otoscope.models.groups import GROUPS
    from otoscope.tasks.catalogue import CONDITIONS, TASKS

    names = [*MODELS, *GROUPS, *TASKS, *CONDITIONS, *INTERVENTIONS, *named_experiments(), *named_suites()]
    near = suggestions(name, names)
    return f"Did you mean {' or '.join(near)}?" if near else "See: otoscope ls"
