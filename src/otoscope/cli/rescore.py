"""``otoscope rescore``: stored replies under another parser."""

from __future__ import annotations

from pathlib import Path

import click

from otoscope.cli._common import json_option, print_json, print_table
from otoscope.core.errors import StoreError


@click.command(
    epilog="""\b
Examples:
  otoscope rescore runs/audiomarathon --parser strict
  otoscope rescore runs/audiomarathon --parser official --out official.json
  otoscope rescore runs/audiomarathon"""
)
@click.argument("dir", type=click.Path())
@click.option("--parser", help="Which parser reads the replies [default: each task's own, to check the stored rows].")
@click.option("--out", type=click.Path(), help="Scores file [default: DIR/scores-PARSER.json].")
@click.option("--force", is_flag=True, help="Replace a scores file that says something else.")
@json_option
def command(dir: str, parser: str | None, out: str | None, force: bool, as_json: bool) -> int:
    """Read the stored replies of the run in DIR once more and write the scores that they get to a file of their own.

    No model is needed and the run stays as it is. Without --parser each reply is read as it was in the run; every value
    must come back, and those that do not are counted and make the exit code 1.
    """
    from otoscope.experiments.rescore import differences, rescore
    from otoscope.experiments.scores import scores_of
    from otoscope.results.files import write_durably
    from otoscope.results.scoring import dumps

    found = rescore(dir, parser)
    path = Path(out) if out is not None else Path(dir) / f"scores-{found.parser}.json"
    text = dumps(found.scores) + "\n"
    if path.exists() and not force and path.read_text(encoding="utf-8") != text:
        raise StoreError("is there and says something else", where=str(path), fix="Name another --out, or --force it.")
    write_durably(path, text.encode("utf-8"), "artefact")
    if as_json:
        counts = {"replies": found.n_replies, "changed": found.n_changed, "skipped": list(found.skipped)}
        print_json({"parser": found.parser, "scores": str(path), **counts})
    else:
        rows = [
            (b.model, b.intervention, b.task, b.condition, b.metric, a.value, b.value, a.n_unparsed, b.n_unparsed)
            for a, b in differences(scores_of(dir), found.scores)
        ]
        if rows:
            header = ["model", "intervention", "task", "condition", "metric", "run", found.parser]
            print_table([*header, "unparsed in run", "unparsed"], rows)
        click.echo(f"{found.n_replies} replies read, {found.n_changed} to another value: {path}")
        for alias in found.skipped:
            click.echo(f"left out, its answers are not words: {alias}")
    return 1 if parser is None and found.n_changed else 0
