"""``otoscope report``: the page of a run, or of several."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(
    epilog="""\b
Examples:
  otoscope report runs/bmld --out page.html
  otoscope report runs/bmld runs/lsac --out both.html"""
)
@click.argument("dirs", nargs=-1, required=True, type=click.Path())
@click.option("--out", type=click.Path(), help="Where to write [default: report.html in the one DIR].")
@click.option("--title", help="Title of a page about several runs.")
def command(dirs: tuple[str, ...], out: str | None, title: str | None) -> None:
    """Write one self-contained HTML page about the runs in DIRS. It opens from disk and asks the network for nothing.

    Of several runs, and of the directory of a suite, each becomes a chapter: its finding, a figure and a table in
    front, the whole study folded behind.
    """
    from otoscope.core.errors import UsageError
    from otoscope.experiments.suite import runs_of
    from otoscope.report.chapters import write_chapters
    from otoscope.report.page import write_report

    suite = runs_of(Path(dirs[0])) if len(dirs) == 1 else None
    if len(dirs) == 1 and suite is None:
        if title is not None:
            raise UsageError("--title is for pages about several runs")
        click.echo(write_report(dirs[0], out))
        return
    if suite is None and out is None:
        raise UsageError("a page about several runs needs a place", fix="Add --out page.html.")
    known, runs = suite if suite is not None else ("Several runs", [Path(d) for d in dirs])
    target = Path(out) if out is not None else Path(dirs[0]) / "report.html"
    write_chapters(runs, target, title or known)
    click.echo(target)
