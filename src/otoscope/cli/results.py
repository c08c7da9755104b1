"""``otoscope results``: the scores of a run directory."""

from __future__ import annotations

import click

from otoscope.cli._common import json_option, print_json, print_table


@click.command(
    epilog="""\b
Examples:
  otoscope results runs/bmld
  otoscope results runs/bmld --metric delta_bmld_db --json
  otoscope results runs/bmld --failed"""
)
@click.argument("dir", type=click.Path())
@click.option("--metric", "metrics", multiple=True, help="Only this metric (repeatable).")
@click.option("--model", "models", multiple=True, help="Only this model (repeatable).")
@click.option("--failed", is_flag=True, help="The failed items and why, instead of scores.")
@json_option
def command(dir: str, metrics: tuple[str, ...], models: tuple[str, ...], failed: bool, as_json: bool) -> None:
    """Print every score of the run in DIR with its interval, and how many items stand behind it."""
    if failed:
        _failed(dir, as_json)
        return
    from otoscope.experiments.scores import scores_of
    from otoscope.results.scoring import Score, Scores, dumps

    scores: list[Score] = scores_of(dir)
    if metrics:
        scores = [s for s in scores if s.metric in metrics]
    if models:
        scores = [s for s in scores if s.model in models]
    if as_json:
        click.echo(dumps(scores))
        return
    table = Scores(scores).shown()
    print_table(table.header, table.rows)


def _failed(dir: str, as_json: bool) -> None:
    from otoscope.results.store import Results

    store = Results.open(dir)
    alias = {c.cell: c.alias for c in store.cells()}
    rows = store.rows(metrics=(), columns=["cell", "item", "status", "note"]).to_pylist()
    bad = [{"cell": alias[r["cell"]], "item": r["item"], "reason": r["note"]} for r in rows if r["status"] == "failed"]
    if as_json:
        print_json(bad)
    else:
        print_table(["item", "reason", "cell"], [(b["item"], b["reason"], b["cell"]) for b in bad])
        click.echo(f"{len(bad)} failed items")
