"""``otoscope check``: the conformance suite."""

from __future__ import annotations

import click

from otoscope.cli._common import json_option, print_json, print_table, trust_option


@click.command(
    epilog="""\b
Examples:
  otoscope check logmel-ipd
  otoscope check file:my_model.py#MyEncoder
  otoscope check ./my-checkpoint:channels=left --json
  otoscope check ./my-audio-lm
  otoscope check all-nine:init=random"""
)
@click.argument("model")
@trust_option
@json_option
def command(model: str, trust_remote_code: bool, as_json: bool) -> int:
    """Put MODEL through the conformance suite: is it deterministic, does a batch or padding change its answer, do its
    length, channels, rate and (of an audio language model) counts and spans behave as declared? A group such as
    all-nine is checked member by member. Exit code 1 if a check fails."""
    from otoscope.core.naming import parse_spec
    from otoscope.models.conformance import check
    from otoscope.models.groups import expand
    from otoscope.models.resolve import resolve

    members = expand(parse_spec(model))
    found = []
    for member in members:
        checks = check(resolve(member, trust_remote_code=trust_remote_code))
        found += [(str(member), c) for c in checks]
        if not as_json:
            title = str(member) if len(members) > 1 else None
            rows = [(c.name, c.status, c.figure, c.detail) for c in checks]
            print_table(["check", "status", "figure", "detail"], rows, title=title)
            click.echo(f"{sum(c.passed for c in checks)} of {len(checks)} checks hold")
    if as_json:
        print_json(
            [
                {"model": name, "check": c.name, "status": c.status, "figure": c.figure, "detail": c.detail}
                for name, c in found
            ]
        )
    return 0 if all(c.passed for _, c in found) else 1
