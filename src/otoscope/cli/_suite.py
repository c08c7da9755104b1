"""Running a suite: its parts one after the other under one display, then one page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from otoscope.cli._common import print_json, print_recalled
from otoscope.core.errors import UsageError
from otoscope.experiments.suite import Suite, record
from otoscope.experiments.worker import Event
from otoscope.results.shardfiles import NOTHING_ASKED

#: Options of ``otoscope run`` that a suite takes besides --part, --into, --workers and --json.
_TAKEN = ("data", "limit", "seed")


def run_suite(
    suite: Suite, parts: Sequence[str], directory: Path, workers: int, as_json: bool, settings: Any, **overrides: Any
) -> int:
    """Run the parts that are asked for; those that are done are only looked at. Returns the exit code."""
    from otoscope.cli._progress import progress
    from otoscope.experiments.plan import make_plan
    from otoscope.experiments.runner import execute

    for name, value in overrides.items():
        if value and name not in _TAKEN:
            option = name.rstrip("s") if name != "twins" else "random-twin"
            raise UsageError(
                f"--{option} cannot be put to the suite {suite.name}, whose parts are different experiments",
                fix="Run the experiment of one part by itself: otoscope show " + suite.name,
            )
    chosen = suite.select(parts)
    taken = {name: overrides.get(name) for name in _TAKEN}
    record(suite, directory)
    plans = [(part, exp, make_plan(exp, settings)) for part in chosen for exp in [part.load(**taken)]]
    n_cells = sum(len(plan.cells) for _, _, plan in plans)
    summaries = []
    try:
        if as_json:
            for part, exp, plan in plans:
                summaries.append(execute(exp, plan, into=directory / part.name, workers=workers, settings=settings))
        else:
            click.echo(f"{suite.title}: {len(plans)} studies, {n_cells} cells into {directory}")
            with progress(n_cells) as show:
                for part, exp, plan in plans:
                    into = directory / part.name
                    emit = _within(part.name, show)
                    summaries.append(execute(exp, plan, into=into, workers=workers, settings=settings, emit=emit))
    except KeyboardInterrupt:
        click.echo("otoscope: interrupted; run the same command again to finish what is missing", err=True)
        return 130
    return _account(suite, directory, summaries, as_json, settings.embeddings)


def _within(part: str, show: Callable[[Event], None]) -> Callable[[Event], None]:
    """Two parts may hold the same cell; the display must not take one for the other."""
    return lambda event: show(replace(event, cell=f"{part}/{event.cell}"))


def _account(suite: Suite, directory: Path, summaries: Sequence[Any], as_json: bool, folder: Path | None) -> int:
    from otoscope.experiments.suite import runs_of
    from otoscope.report.chapters import write_chapters

    counts = {
        "items": sum(s.n_items for s in summaries),
        "done": sum(s.n_done for s in summaries),
        "failed": sum(s.n_failed for s in summaries),
    }
    known = runs_of(directory)
    assert known is not None, "the suite was recorded before it ran"
    page = directory / "report.html"
    chapters = write_chapters(known[1], page, suite.title)
    if as_json:
        found = [{"study": c.title, "verdict": c.headline.verdict, "finding": c.headline.sentence} for c in chapters]
        print_json({"directory": str(directory), **counts, "studies": found, "report": str(page)})
    else:
        for c in chapters:
            click.echo(f"\n{c.title}\n  {c.headline.verdict}: {c.headline.sentence}")
        click.echo(f"\n{counts['done']} of {counts['items']} items done, {counts['failed']} failed")
        print_recalled(sum((s.recalled for s in summaries), NOTHING_ASKED), folder)
        for part in known[1]:
            if any(s.n_failed and s.results.path.resolve() == part.resolve() for s in summaries):
                click.echo(f"the failed items say why: otoscope results {part} --failed")
        click.echo(f"report: {page}")
    return 1 if counts["failed"] else 0
