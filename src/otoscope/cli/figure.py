"""``otoscope figure``: a figure of a run's page as a file for a publication."""

from __future__ import annotations

import click

from otoscope.cli._common import print_json


@click.command(
    epilog="""\b
Examples:
  otoscope figure runs/audiomarathon
  otoscope figure runs/audiomarathon --of pareto -o front.pdf
  otoscope figure runs/quickstart/bmld --of snr -o bmld.svg --theme dark"""
)
@click.argument("directory", metavar="DIR", type=click.Path())
@click.option("--of", "name", metavar="FIGURE", help="Which: a name from the list, its beginning, or pareto.")
@click.option("-o", "--out", type=click.Path(), help="Where to write; the ending says how: .pdf, .svg or .png.")
@click.option("--theme", type=click.Choice(["light", "dark"]), default="light", show_default=True)
@click.option("--dpi", type=click.IntRange(50, 1200), default=300, show_default=True, help="Dots per inch of a PNG.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def command(directory: str, name: str | None, out: str | None, theme: str, dpi: int, as_json: bool) -> None:
    """Write one figure of the page of the run in DIR, or list them. Intervals, colours and marks are the page's."""
    from typing import cast

    from otoscope.core.errors import UsageError
    from otoscope.report.extract import figures_of
    from otoscope.report.figures.export import Theme
    from otoscope.report.run import Run

    if (name is None) != (out is None):
        raise UsageError("--of and --out go together", fix="Without both, the figures are listed.")
    found = figures_of(Run.read(directory))
    if name is None or out is None:
        if as_json:
            print_json([{"figure": n, "section": s, "panels": len(p.panels)} for n, (s, p) in found.known.items()])
            return
        width = max(map(len, found.known), default=0)
        for known, (section, panels) in found.known.items():
            click.echo(f"{known:{width}}  {section}, {len(panels.panels)} panel{'s' * (len(panels.panels) > 1)}")
        return
    written = found.write(name, out, cast(Theme, theme), dpi)
    click.echo(str(written))
