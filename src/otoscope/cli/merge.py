"""``otoscope merge``: join the parts of a run that was done with ``--shard``."""

from __future__ import annotations

import click


@click.command(
    epilog="""\b
Example (two machines did half of the shards each):
  otoscope run bmld --shard 1/2 --into part1
  otoscope run bmld --shard 2/2 --into part2
  otoscope merge part1 part2 --into whole
  otoscope run bmld --into whole"""
)
@click.argument("dirs", nargs=-1, required=True, type=click.Path())
@click.option("--into", required=True, type=click.Path(), help="The directory that receives all rows.")
def command(dirs: tuple[str, ...], into: str) -> None:
    """Join run DIRS into one directory.

    The same row in two directories must hold the same value. Run the same experiment once more on the joined
    directory to fit what needs all shards (readouts).
    """
    from otoscope.results.merge import merge

    merged = merge(list(dirs), into)
    click.echo(f"{len(merged.cells())} cells in {into}")
