"""``otoscope run``: an experiment into a directory."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from otoscope.cli._common import (
    embeddings_option,
    json_option,
    print_json,
    print_recalled,
    print_table,
    seconds,
    size,
    trust_option,
)
from otoscope.core.errors import UsageError


def _shard(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[int, int]:
    if value is None:
        return 0, 1
    i, _, n = value.partition("/")
    if not (i.isdigit() and n.isdigit() and 1 <= int(i) <= int(n)):
        raise click.BadParameter("write i/n with 1 <= i <= n, for example 1/4")
    return int(i) - 1, int(n)


@click.command(
    epilog="""\b
Examples:
  otoscope run bmld
  otoscope run bmld --model file:my_model.py#MyEncoder --random-twin
  otoscope run bmld --preset chen2026 --model hubert-large:channels=left --dry-run
  otoscope run quickstart --part bmld --part lsac"""
)
@click.argument("experiment")
@click.option("--task", "tasks", multiple=True, help="Only this task (repeatable).")
@click.option("--condition", "conditions", multiple=True, help="These conditions instead of the preset's (repeatable).")
@click.option("--model", "models", multiple=True, help="These subjects instead of the preset's (repeatable).")
@click.option("--intervention", "interventions", multiple=True, help="These interventions (repeatable).")
@click.option("--fit-on", multiple=True, help="Tasks that interventions may learn from (repeatable).")
@click.option("--preset", help="A preset of the experiment; its default if not given.")
@click.option("--part", "parts", multiple=True, help="Of a suite: only this part (repeatable).")
@click.option("--data", type=click.Path(), help="A folder of audio, or a manifest.jsonl, for tasks that read data.")
@click.option("--limit", type=click.IntRange(min=1), help="At most this many items per cell and round.")
@click.option("--seed", type=click.IntRange(min=0), help="Root seed instead of the preset's.")
@click.option("--into", type=click.Path(), help="Run directory [default: runs/EXPERIMENT].")
@click.option("--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Worker processes.")
@click.option("--shard", callback=_shard, metavar="i/n", help="Only this part of the shards; see otoscope merge.")
@click.option("--warmup", type=click.IntRange(min=0), default=1, show_default=True, help="Untimed answers at first.")
@click.option(
    "--repeats",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Ask an audio LM so often per item; seconds are medians. Above 1, settings share nothing.",
)
@click.option("--random-twin", is_flag=True, help="Add MODEL:init=random beside every subject model.")
@embeddings_option
@trust_option
@click.option(
    "--dry-run", is_flag=True, help="Print the cells, time and space from two to ten items each; run nothing."
)
@json_option
def command(
    experiment: str,
    preset: str | None,
    into: str | None,
    workers: int,
    shard: tuple[int, int],
    warmup: int,
    repeats: int,
    random_twin: bool,
    embeddings: str | None,
    trust_remote_code: bool,
    dry_run: bool,
    as_json: bool,
    parts: tuple[str, ...],
    **overrides: Any,
) -> int:
    """Run EXPERIMENT: a named one (otoscope ls experiments) or a TOML file. A suite, such as quickstart, runs several.

    Everything goes to one directory. The same command again finishes what is missing and tries failed items once
    more; with more models, conditions or items it adds the difference.
    """
    from otoscope.experiments.experiment import load_experiment
    from otoscope.experiments.plan import Settings
    from otoscope.experiments.suite import find_suite
    from otoscope.results.embeddings import checked_folder

    settings = Settings(
        trust_remote_code=trust_remote_code,
        warmup=warmup,
        repeats=repeats,
        shard=shard,
        embeddings=checked_folder(embeddings),
    )
    suite = find_suite(experiment)
    if suite is not None:
        from otoscope.cli._suite import run_suite

        for option, given in (("--preset", preset), ("--dry-run", dry_run), ("--shard", shard != (0, 1))):
            if given:
                raise UsageError(f"{option} is for one experiment, and {suite.name} is a suite of several")
        overrides["twins"] = random_twin
        directory = Path(into) if into else Path("runs") / suite.name
        return run_suite(suite, parts, directory, workers, as_json, settings, **overrides)
    if parts:
        raise UsageError(f"--part is for suites, and {experiment} is one experiment", fix="Choose with --task.")
    exp = load_experiment(experiment, preset)
    overrides["twins"] = max(exp.twins, 1) if random_twin else None
    exp = exp.override(**overrides)
    directory = Path(into) if into else Path("runs") / exp.name
    if dry_run:
        return _dry_run(exp, settings, directory, as_json)
    return _run(exp, settings, directory, workers, as_json)


def _run(exp: Any, settings: Any, directory: Path, workers: int, as_json: bool) -> int:
    from otoscope.cli._progress import progress
    from otoscope.experiments.plan import make_plan
    from otoscope.experiments.runner import execute

    plan = make_plan(exp, settings)
    if not plan.cells:
        raise UsageError("nothing to run", fix=plan.excluded[0][1] if plan.excluded else None)
    if not as_json:
        click.echo(f"{exp.title} [{exp.preset}]: {len(plan.cells)} cells into {directory}")
        for cell, reason in plan.excluded:
            click.echo(f"  left out: {cell.alias}: {reason}")
        for model, error in {str(p.cell.model): p.error for p in plan.cells if p.error}.items():
            click.echo(f"  {error}" if error.startswith(f"{model}: ") else f"  {model}: {error}", err=True)
    try:
        if as_json:
            summary = execute(exp, plan, into=directory, workers=workers, settings=settings)
        else:
            with progress(len(plan.cells)) as show:
                summary = execute(exp, plan, into=directory, workers=workers, settings=settings, emit=show)
    except KeyboardInterrupt:
        click.echo("otoscope: interrupted; run the same command again to finish what is missing", err=True)
        return 130
    from otoscope.experiments.scores import scores_of
    from otoscope.report.page import write_report
    from otoscope.results.heard import heard_before

    scores = scores_of(directory)
    page = str(write_report(directory, scores=scores)) if summary.complete else None
    counts = {"items": summary.n_items, "done": summary.n_done, "failed": summary.n_failed}
    if as_json:
        told = {"embeddings": asdict(summary.recalled), "complete": summary.complete, "report": page}
        print_json({"directory": str(directory), **counts, **told})
        return summary.exit_code
    _findings(directory, scores)
    for known in heard_before(scores):
        click.echo(f"no held-out figures: {known}")
    click.echo(f"{summary.n_done} of {summary.n_items} items done, {summary.n_failed} failed")
    print_recalled(summary.recalled, settings.embeddings)
    if summary.n_failed:
        click.echo(f"the failed items say why: otoscope results {directory} --failed")
    if not summary.complete:
        click.echo("not complete yet: the other shards are missing (see otoscope merge)")
    if page:
        click.echo(f"report: {page}")
    return summary.exit_code


def _findings(directory: Path, scores: Any) -> None:
    from otoscope.experiments.scores import findings_of

    for title, header, rows in findings_of(directory, scores):
        print_table(header, rows, title=title)
        click.echo()


def _dry_run(exp: Any, settings: Any, directory: Path, as_json: bool) -> int:
    from otoscope.experiments.forecast import forecast
    from otoscope.experiments.plan import make_plan

    plan = make_plan(exp, settings)
    quiet = as_json or not sys.stderr.isatty()
    tried = forecast(exp, plan, settings, directory)
    with click.progressbar(tried, len(plan.cells), "trying cells", hidden=quiet, file=sys.stderr) as bar:
        lines = list(bar)
    total_s = sum(x.seconds_left or 0.0 for x in lines)
    total_b = sum(x.bytes_left or 0.0 for x in lines)
    if as_json:
        print_json(
            {
                "cells": [x.describe() for x in lines],
                "excluded": [{"cell": c.alias, "reason": r} for c, r in plan.excluded],
                "seconds_left": total_s,
                "bytes_left": total_b,
            }
        )
        return 0
    print_table(
        ["cell", "items", "done", "time left", "space", "note"],
        [
            (
                x.alias,
                f"{x.n_items}{'+' if x.more_rounds else ''}",
                x.n_done,
                "?" if x.seconds_left is None else seconds(x.seconds_left),
                "?" if x.bytes_left is None else size(x.bytes_left),
                x.note,
            )
            for x in lines
        ],
        title=f"{exp.title} [{exp.preset}] into {directory}",
    )
    for cell, reason in plan.excluded:
        click.echo(f"left out: {cell.alias}: {reason}")
    click.echo(f"about {seconds(total_s)} with one worker and {size(total_b)} (from two to ten items of each cell)")
    return 0
