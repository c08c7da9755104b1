"""``otoscope data overlap``: what of the probe sets a training manifest holds."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from otoscope.cli._common import json_option, print_json, print_table
from otoscope.core.errors import UsageError


@click.command(
    epilog="""\b
Examples:
  otoscope data overlap train.jsonl --task xares/esc50 --task xares/urbansound8k
  otoscope data overlap speech.jsonl sounds.jsonl --task probes/folder:data=my-birds --content --json"""
)
@click.argument("manifests", nargs=-1, required=True, type=click.Path(), metavar="MANIFEST...")
@click.option("--task", "tasks", multiple=True, required=True, help="A probe task (repeatable).")
@click.option("--content", is_flag=True, help="Compare bytes too: reads every sound whose sha256 is not told.")
@json_option
def overlap(manifests: tuple[str, ...], tasks: tuple[str, ...], content: bool, as_json: bool) -> int:
    """Say what of the probe sets the training manifests hold, part by part: by source (the recording or speaker that
    data sets name, Freesound's among them), by file name, and by content. Exit code 1 where there is any.

    Sources that a probe set does not name cannot be compared: the column "known" counts those that can."""
    from otoscope.core.naming import parse_spec
    from otoscope.tasks.catalogue import resolve_task
    from otoscope.tasks.probes.task import ProbeTask
    from otoscope.training.uniwhisper.overlap import marks_of
    from otoscope.training.uniwhisper.overlap import overlap as compare

    probes = []
    for name in tasks:
        task = resolve_task(parse_spec(name))
        if not isinstance(task, ProbeTask):
            raise UsageError(f"{name} is no probe task", fix="See: otoscope ls tasks")
        probes.append(task)
    marks = marks_of([Path(m) for m in manifests], content=content)
    found = list(compare(marks, probes, content=content))
    met = any(p.any for p in found)
    if as_json:
        print_json({"records": marks.n, "parts": [asdict(p) for p in found]})
        return 1 if met else 0
    rows = [
        (p.task, p.part, p.n, p.known, p.source, p.name, "-" if p.content is None else p.content,
         p.any, f"{100 * p.any / p.n:.1f} %" if p.n else "-")
        for p in found
    ]  # fmt: skip
    header = ["task", "part", "clips", "known", "by source", "by name", "by content", "any", "share"]
    print_table(header, rows, title=f"{marks.n} records against {len(probes)} probe sets")
    for p in found:
        for clip, way, key in p.examples:
            click.echo(f"{p.task}: {clip} is {key} (by {way})")
    return 1 if met else 0
