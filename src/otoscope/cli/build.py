"""``otoscope build``: a benchmark from one's own clips."""

from __future__ import annotations

from pathlib import Path

import click

from otoscope.cli._common import json_option, print_json, print_table, seconds
from otoscope.core.errors import UsageError


@click.group(
    epilog="""\b
Example:
  otoscope build long-audio my-benchmark/ --from my-clips/manifest.jsonl"""
)
def command() -> None:
    """Build benchmarks from clips of your own."""


def _numbers(ctx: click.Context, param: click.Parameter, value: str) -> tuple[float, ...]:
    try:
        return tuple(float(x) for x in value.split())
    except ValueError as e:
        raise click.BadParameter("write numbers with spaces between, for example '30 60 300'") from e


@command.command(
    "long-audio",
    epilog="""\b
Examples:
  otoscope build long-audio my-benchmark/ --lengths "30 60 300"
  otoscope build long-audio my-benchmark/ --from my-clips/manifest.jsonl --items 50 --snr-db 10 --rt60-s 0.4
  otoscope build long-audio my-benchmark/ --from meetings/ --from package --family needle --family hops
  otoscope run length-sweep --data my-benchmark/""",
)
@click.argument("folder", type=click.Path())
@click.option(
    "--from",
    "places",
    multiple=True,
    help="A manifest.jsonl, a data set, folders by class, a folder of "
    "recordings, or package: the package's own sounds (repeatable) [default: package].",
)
@click.option("--family", "families", multiple=True, help="Only this family of questions (repeatable).")
@click.option(
    "--lengths",
    callback=_numbers,
    default="30 60 120 300",
    show_default=True,
    help="Seconds, rising; every item is made at each, a shorter version inside the longer one.",
)
@click.option("--items", type=click.IntRange(min=1), default=20, show_default=True, help="Items of every family.")
@click.option(
    "--train-items",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="As many more, made from other clips, for --fit-on; half of the speakers and recordings then go there.",
)
@click.option(
    "--positions",
    callback=_numbers,
    default="0 0.25 0.5 0.75 1",
    show_default=True,
    help="Where in a longer version the shorter one lies, 0 start to 1 end.",
)
@click.option("--snr-db", type=float, default=30.0, show_default=True, help="Level of the sounds over white noise.")
@click.option(
    "--overlap",
    type=float,
    default=0.0,
    show_default=True,
    help="Share of its neighbour that a sound of the question overlaps.",
)
@click.option("--gap-s", type=float, default=0.2, show_default=True, help="Least silence between sounds.")
@click.option("--rt60-s", type=float, help="Reverberation time of a simulated room [default: none].")
@click.option("--density", type=float, default=10.0, show_default=True, help="Other sounds per minute around it.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Another seed: other items.")
@json_option
def long_audio(
    folder: str,
    places: tuple[str, ...],
    families: tuple[str, ...],
    lengths: tuple[float, ...],
    items: int,
    train_items: int,
    positions: tuple[float, ...],
    snr_db: float,
    overlap: float,
    gap_s: float,
    rt60_s: float | None,
    density: float,
    seed: int,
    as_json: bool,
) -> None:
    """Write a benchmark into a new FOLDER: sound files and a manifest.jsonl that is the tasks longaudio/FAMILY.

    The same command after an interruption goes on where it was. Every clip is used in one split only, and the right
    option stands at every place equally often. Families whose material is missing are left out and named."""
    from rich.console import Console
    from rich.status import Status

    from otoscope.tasks.longaudio.builder import Plan, build
    from otoscope.tasks.longaudio.timeline import Acoustics

    for place in places:
        if place != "package" and not Path(place).expanduser().exists():
            raise UsageError("no such file or folder", where=place)
    acoustics = Acoustics(snr_db, overlap, gap_s, rt60_s, density)
    plan = Plan(places or ("package",), families, lengths, items, train_items, positions, acoustics, seed)
    console = Console(stderr=True)
    with Status("", console=console) as status:
        found = build(plan, Path(folder), lambda text: status.update(text) if console.is_terminal else None)
    if as_json:
        counts = {"items": found.n_lines, "files": found.n_files, "seconds": found.seconds}
        print_json({"folder": folder, **counts, "left_out": dict(found.left_out)})
        return
    if found.left_out:
        print_table(["left out", "because it"], list(found.left_out.items()))
    click.echo(
        f"{found.n_lines} items about {found.n_files} files ({seconds(found.seconds)}): "
        f"otoscope run length-sweep --data {folder}"
    )
