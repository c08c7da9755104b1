"""``otoscope export``: an encoder as a file that another suite runs."""

from __future__ import annotations

from pathlib import Path

import click

from otoscope.cli._common import json_option, print_json, trust_option


@click.command(
    epilog="""\b
Examples:
  otoscope export whisper-base:layer=4 --as xares -o whisper_4_encoder.py
  otoscope export ./my-checkpoint --as hear -o my_hear.py
  otoscope check xares:whisper_4_encoder.py --trust-remote-code"""
)
@click.argument("model")
@click.option("--as", "suite", type=click.Choice(["xares", "hear"]), required=True, help="The suite that runs it.")
@click.option("-o", "--out", type=click.Path(), required=True, help="A new .py file.")
@trust_option
@json_option
def command(model: str, suite: str, out: str, trust_remote_code: bool, as_json: bool) -> None:
    """Write OUT, a Python file through which X-ARES or HEAR runs the encoder MODEL as it is run here: its rate, its
    layer, real lengths. The file names the model and refuses other weights; otoscope must be installed beside it."""
    from dataclasses import asdict

    from otoscope.models.encoders.suites.written import export

    facts = export(model, suite, Path(out), trust_remote_code=trust_remote_code)
    if as_json:
        print_json({"out": out, "suite": suite, **asdict(facts)})
        return
    size = facts.vector if suite == "hear" else facts.width
    click.echo(f"{out}: {model}, {facts.rate} Hz, {size} dimensions, a frame every {1000 * facts.hop_s:g} ms")
