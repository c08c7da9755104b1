"""``otoscope convert``: a published checkpoint as a safetensors file under our names."""

from __future__ import annotations

import click

from otoscope.cli._common import json_option, print_json


@click.command(
    epilog="""\b
Examples:
  otoscope convert gram-t model.safetensors gram-t.safetensors
  otoscope convert dspast:stage=1 DSpAST-stage1 dspast-1.safetensors --json
  otoscope run bmld --model gram-t:path=gram-t.safetensors"""
)
@click.argument("name")
@click.argument("checkpoint", type=click.Path())
@click.argument("out", type=click.Path())
@click.option("--force", is_flag=True, help="Replace OUT if it exists.")
@json_option
def command(name: str, checkpoint: str, out: str, force: bool, as_json: bool) -> None:
    """Write the published CHECKPOINT of the model NAME to OUT, a safetensors file, and say what became of every tensor.

    A tensor is used, or ignored for a reason that is printed. One that is missing, unknown or of another shape is an
    error, and nothing is written. OUT then loads as NAME:path=OUT.
    """
    from otoscope.models.convert import convert

    report = convert(name, checkpoint, out, force=force)
    if as_json:
        used = [{"published": theirs, "name": ours, "shape": list(shape)} for theirs, ours, shape in report.used]
        ignored = [{"published": theirs, "reason": why} for theirs, why in report.ignored]
        print_json({"map": report.map, "verified": report.verified, "out": out, "used": used, "ignored": ignored})
        return
    for line in report.lines():
        click.echo(line)
    click.echo(f"{out}: {len(report.used)} tensors used, {len(report.ignored)} ignored, none missing ({report.map})")
