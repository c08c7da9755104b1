"""``otoscope train``: train an encoder by a recipe."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from otoscope.cli._common import print_json


@click.command(
    epilog="""\b
Examples:
  otoscope train recipes/uniwhisper.toml --plan
  otoscope train recipes/uniwhisper.toml --into runs/uniwhisper
  accelerate launch --num_processes 8 -m otoscope train recipes/uniwhisper.toml"""
)
@click.argument("recipe", type=click.Path())
@click.option("--into", type=click.Path(), help="Folder of the run [default: runs/RECIPE].")
@click.option("--stop", type=click.IntRange(min=1), help="End early at this step; the same command goes on from there.")
@click.option("--plan", "planned", is_flag=True, help="Estimate hours, tokens, FLOPs and memory; load nothing.")
@click.option("--card", default="h100", show_default=True, help="For --plan: the card.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(recipe: str, into: str | None, stop: int | None, planned: bool, card: str, as_json: bool) -> None:
    """Train an encoder by the TOML file RECIPE (UniWhisper, arXiv 2602.21772); the same command again goes on where it
    stopped. The trained encoder is DIR/encoder, a Whisper checkpoint, and a model for every other command."""
    from dataclasses import asdict

    from otoscope.training.uniwhisper.recipe import read_recipe

    found = read_recipe(recipe)
    if planned:
        from otoscope.training.uniwhisper.plan import REACHED, plan

        told = plan(found, card)
        if as_json:
            print_json(asdict(told))
            return
        for name, text in (
            ("sound", f"{told.sound_hours:,.1f} h in {told.clips:,.0f} clips, repeats counted"),
            ("answer tokens", f"{told.answer_tokens:,.0f}"),
            ("encoder positions", f"{told.encoder_positions:,.0f}"),
            ("weights", f"{told.weights_trained / 1e6:,.1f} M trained, {told.weights_frozen / 1e6:,.1f} M frozen"),
            ("FLOPs", f"{told.flops:.3g}"),
            ("time", f"{told.hours:,.2f} h on one {told.card} at {100 * REACHED:.0f} % of its bf16 figure"),
            ("memory", f"{told.bytes / 1e9:,.2f} GB"),
        ):
            click.echo(f"{name:18} {text}")
        click.echo("all of it estimated from sizes; nothing was loaded")
        return
    from otoscope.training.uniwhisper.session import train

    folder = Path(into) if into is not None else Path("runs") / found.name

    def tell(line: Mapping[str, Any]) -> None:
        if as_json:
            print_json(line)
            return
        losses = ", ".join(f"{task} {value:.3f}" for task, value in line["loss"].items())
        shares = ", ".join(f"{source} {100 * share:.0f} %" for source, share in line["shares"].items())
        click.echo(
            f"[{line['step']}/{found.optimise.steps}] loss {losses} | {shares} | {line['clips_per_s']:.1f} clips/s | "
            f"{line['eta_s'] / 60:.0f} min left"
        )

    done = train(found, folder, tell, stop)
    if done.encoder is None:
        click.echo(f"stopped at step {done.step} of {done.steps}; the same command goes on")
    else:
        click.echo(f"encoder: {done.encoder}")
