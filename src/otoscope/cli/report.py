"""``otoscope report``: the page of a run."""

from __future__ import annotations

import click


@click.command(
    epilog="""\b
Example:
  otoscope report runs/bmld --out page.html"""
)
@click.argument("dir", type=click.Path())
@click.option("--out", type=click.Path(), help="Where to write [default: DIR/report.html].")
def command(dir: str, out: str | None) -> None:
    """Write one self-contained HTML page about the run in DIR. It opens from disk and asks the network for nothing."""
    from otoscope.report.page import write_report

    click.echo(write_report(dir, out))
