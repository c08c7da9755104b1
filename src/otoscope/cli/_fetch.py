"""``otoscope data fetch``: archives of published probe tasks."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from otoscope.cli._common import json_option, print_json, print_table, size
from otoscope.core.errors import UsageError

#: A line about a file in progress comes at most this often (s).
EVERY_S = 10.0


@click.command(
    epilog="""\b
Examples:
  otoscope data fetch xares/esc50
  otoscope data fetch xares/esc50 xares/cremad --into ~/xares
  otoscope data fetch xares/esc50 --from https://mirror.example.org
  otoscope data fetch xares/esc50 --from ~/Downloads/14614287.zip
  otoscope data fetch "xares/*" --dry-run"""
)
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option("--into", type=click.Path(), help="Folder above the tasks' folders [default: xares in the cache].")
@click.option(
    "--from", "source", metavar="URL|ZIP",
    help="A mirror that answers under zenodo.org's paths, or a zip with all files of the record.",
)  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Print the records and the archives that are read; fetch nothing.")
@json_option
def fetch(names: tuple[str, ...], into: str | None, source: str | None, dry_run: bool, as_json: bool) -> None:
    """Fetch the archives of the X-ARES tasks NAME (xares/esc50, "xares/*") from their Zenodo records.

    Sizes and checksums of the record are verified; what was interrupted goes on where it stopped. What is there
    already is verified and not fetched again. Everything stays packed: tasks read the archives as they are."""
    from otoscope.tasks.probes.fetch import ZENODO, fetch_task
    from otoscope.tasks.probes.xares import xares_root

    tasks = _named(names)
    root = Path(into).expanduser() if into else xares_root()
    if source is not None and not source.startswith(("http://", "https://")) and len(tasks) > 1:
        raise UsageError("one zip is of one record, and several tasks are named", fix="Name one.")
    if dry_run:
        base = (source or ZENODO).rstrip("/")
        plan = [(f"xares/{t.name}", f"{base}/records/{t.zenodo}", " ".join(t.parts.values())) for t in tasks]
        if as_json:
            print_json([dict(zip(("task", "record", "archives"), p, strict=True)) for p in plan])
        else:
            print_table(["task", "record", "archives"], plan, title=f"into {root}")
        return
    done = []
    for task in tasks:
        told = _Told(task.name, quiet=as_json)
        found = fetch_task(task, root, source=source, show=told)
        done.append({"task": f"xares/{task.name}", **asdict(found), "folder": str(found.folder)})
        if not as_json:
            total = size(sum(a.size for a in found.archives))
            said = f"{len(found.new)} fetched" if found.new else "all there, checksums right"
            click.echo(f"xares/{task.name}: {len(found.archives)} archives ({total}), {said}: {found.folder}")
            if found.skipped:
                click.echo(f"  not read by the task, and left: {', '.join(found.skipped)}")
    if as_json:
        print_json(done)


class _Told:
    """Progress of one task: a line a file, and now and then one in between."""

    def __init__(self, task: str, quiet: bool) -> None:
        self.task, self.quiet, self.last = task, quiet, time.monotonic()

    def __call__(self, name: str, have: int, total: int | None) -> None:
        now = time.monotonic()
        if self.quiet or (have != total and now - self.last < EVERY_S):
            return
        self.last = now
        of = "" if total is None or have == total else f" of {size(total)}"
        click.echo(f"  {self.task}/{name}: {size(have)}{of}", err=True)


def _named(names: tuple[str, ...]) -> list[Any]:
    from fnmatch import fnmatchcase

    from otoscope.core.registry import suggestions
    from otoscope.tasks.probes.catalog import xares_tasks

    known = {f"xares/{n}": t for n, t in xares_tasks().items()}
    found: dict[str, Any] = {}
    for name in names:
        fitting = [k for k in known if fnmatchcase(k, name)]
        if not fitting:
            near = suggestions(name, list(known)) or list(known)
            raise UsageError(f"there is nothing to fetch under the name {name!r}", fix=f"There are: {', '.join(near)}.")
        found |= {k: known[k] for k in fitting}
    return list(found.values())
