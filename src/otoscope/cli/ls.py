"""``otoscope ls``: names, without importing what they stand for."""

from __future__ import annotations

import click

from otoscope.cli._common import json_option, print_json, print_table

KINDS = ("models", "tasks", "conditions", "interventions", "experiments")


@click.command(
    epilog="""\b
Examples:
  otoscope ls
  otoscope ls models
  otoscope ls tasks --json"""
)
@click.argument(
    "kind",
    required=False,
    type=click.Choice(KINDS),
)
@json_option
def command(kind: str | None, as_json: bool) -> None:
    """List models, tasks, conditions, interventions or experiments; everything without KIND.

    Besides these names, a model can be a hub id (org/name), a folder with a checkpoint, file:my_model.py#MyEncoder, or
    an encoder written for X-ARES or HEAR (xares:my_encoder.py, hear:package.module).
    """
    found = {
        k: _entries(k) for k in ([kind] if kind else ["models", "tasks", "conditions", "interventions", "experiments"])
    }
    if as_json:
        print_json(found[kind] if kind else found)
        return
    for name, entries in found.items():
        print_table(["name", "what it is"], [(e["name"], e["summary"]) for e in entries], title=f"{name}:")
        click.echo()


def _entries(kind: str) -> list[dict[str, str]]:
    if kind == "experiments":
        from otoscope.experiments.experiment import load_experiment, named_experiments
        from otoscope.experiments.suite import find_suite, named_suites

        found = [{"name": n, "summary": load_experiment(n).title} for n in named_experiments()]
        suites = [s for name in named_suites() if (s := find_suite(name)) is not None]
        return found + [{"name": s.name, "summary": s.title} for s in suites]
    if kind == "models":
        from otoscope.models.catalogue import MODELS as registry
        from otoscope.models.groups import GROUPS

        groups = [{"name": g.name, "summary": g.summary} for g in GROUPS.values()]
        return groups + [{"name": n, "summary": registry.entry(n).summary} for n in registry]
    if kind == "tasks":
        from otoscope.tasks.catalogue import TASKS as registry
    elif kind == "conditions":
        from otoscope.tasks.catalogue import CONDITIONS as registry
    else:
        from otoscope.interventions.catalogue import INTERVENTIONS as registry
    return [{"name": n, "summary": registry.entry(n).summary} for n in registry]
