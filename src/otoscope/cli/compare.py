"""``otoscope compare``: the paired experiment, in numbers."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from otoscope.cli._common import json_option, print_json, print_table


@click.command(
    epilog="""\b
Examples:
  otoscope compare runs/bmld --between model --baseline logmel-ild --metric delta_ungated_db
  otoscope compare runs/bmld --between condition --baseline intact"""
)
@click.argument("dir", type=click.Path())
@click.option(
    "--between", type=click.Choice(["model", "condition", "intervention"]), default="model", show_default=True
)
@click.option("--baseline", required=True, help="What the others are compared with.")
@click.option("--metric", "metrics", multiple=True, help="Only this row metric (repeatable).")
@json_option
def command(dir: str, between: Any, baseline: str, metrics: tuple[str, ...], as_json: bool) -> None:
    """Pair the items of the run in DIR and test the differences.

    Prints, for every metric and factor: mean difference with its interval, effect size, p by sign flips, p corrected
    for the whole table (Holm), and the smallest effect this run could have found.
    """
    from otoscope.results.compare import compare
    from otoscope.results.store import Results

    found = compare(Results.open(dir), between=between, baseline=baseline, metrics=metrics or None)
    if as_json:
        print_json([asdict(c) for c in found])
        return
    rows = []
    empty = sum(c.n == 0 for c in found)
    for c in (c for c in found if c.n):
        where = " ".join(f"{k}={v}" for k, v in c.factors.items())
        interval = f"[{c.ci_low:.3g}, {c.ci_high:.3g}]" if c.ci_low is not None and c.ci_high is not None else None
        within = ", ".join(v for v in (c.task, *c.fixed.values()) if v not in ("none", "intact"))
        rows.append(
            (
                c.other,
                within,
                c.metric,
                where,
                c.difference,
                interval,
                c.effect_size,
                c.p_holm,
                c.smallest_detectable,
                c.n,
                c.n_unmatched,
            )
        )
    header = [between, "within", "metric", "factors", "difference", "95 %", "effect size", "p (Holm)", "detectable"]
    print_table([*header, "n", "unpaired"], rows)
    if empty:
        click.echo(f"{empty} comparisons have no item in common and are left out (they are in --json)")
