"""``otoscope check``: the conformance suite."""

from __future__ import annotations

import click

from otoscope.cli._common import json_option, print_json, print_table, trust_option


@click.command(
    epilog="""\b
Examples:
  otoscope check logmel-ipd
  otoscope check file:my_model.py#MyEncoder
  otoscope check ./my-checkpoint:channels=left --json"""
)
@click.argument("model")
@trust_option
@json_option
def command(model: str, trust_remote_code: bool, as_json: bool) -> int:
    """Put MODEL through the conformance suite: is it deterministic, does a batch or padding change its answer, do its
    length, channels and rate behave as declared? Exit code 1 if a check fails."""
    from otoscope.models.conformance import check
    from otoscope.models.resolve import resolve

    checks = check(resolve(model, trust_remote_code=trust_remote_code))
    failed = [c for c in checks if c.status == "failed"]
    if as_json:
        print_json([{"check": c.name, "status": c.status, "figure": c.figure, "detail": c.detail} for c in checks])
    else:
        print_table(["check", "status", "figure", "detail"], [(c.name, c.status, c.figure, c.detail) for c in checks])
        click.echo(f"{len(checks) - len(failed)} of {len(checks)} checks hold")
    return 1 if failed else 0
