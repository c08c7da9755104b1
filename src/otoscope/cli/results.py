"""``otoscope results``: the scores of a run directory."""

from __future__ import annotations

import click

from otoscope.cli._common import json_option, print_table


@click.command(
    epilog="""\b
Examples:
  otoscope results runs/bmld
  otoscope results runs/bmld --metric delta_bmld_db --json"""
)
@click.argument("dir", type=click.Path())
@click.option("--metric", "metrics", multiple=True, help="Only this metric (repeatable).")
@click.option("--model", "models", multiple=True, help="Only this model (repeatable).")
@json_option
def command(dir: str, metrics: tuple[str, ...], models: tuple[str, ...], as_json: bool) -> None:
    """Print every score of the run in DIR with its interval, and how many items stand behind it."""
    from otoscope.experiments.scores import scores_of
    from otoscope.results.scoring import dumps

    scores = scores_of(dir)
    if metrics:
        scores = [s for s in scores if s.metric in metrics]
    if models:
        scores = [s for s in scores if s.model in models]
    if as_json:
        click.echo(dumps(scores))
        return
    rows = []
    for s in scores:
        where = " ".join(f"{k}={v}" for k, v in s.factors.items())
        interval = None if s.ci_low is None and s.ci_high is None else f"[{_end(s.ci_low)}, {_end(s.ci_high)}]"
        value = None if s.value is None else f"{s.bound or ''}{s.value:.4g}"
        rows.append((s.model, s.task, s.condition, s.metric, where, value, interval, s.n, s.n_failed, s.note or ""))
    print_table(["model", "task", "condition", "metric", "factors", "value", "95 %", "n", "failed", "note"], rows)


def _end(value: float | None) -> str:
    return "?" if value is None else f"{value:.3g}"
