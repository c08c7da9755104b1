"""Progress of a run: live bars in a terminal, one plain line per event that matters elsewhere."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import click

from otoscope.cli._common import seconds
from otoscope.experiments.worker import Event

#: Plain lines for a cell in progress come at most this often (s).
PLAIN_EVERY_S = 15.0


class PlainProgress:
    """For logs and pipes."""

    def __init__(self, n_cells: int) -> None:
        self.n_cells = n_cells
        self.finished: set[str] = set()
        self._done: Counter[str] = Counter()
        self._failed: Counter[str] = Counter()
        self._stored: Counter[str] = Counter()
        self._since: dict[str, float] = {}
        self._last = time.monotonic()

    def __enter__(self) -> PlainProgress:
        return self

    def __exit__(self, *_: Any) -> None:
        return None

    def __call__(self, e: Event) -> None:
        now = time.monotonic()
        if e.kind == "shard":
            self._since.setdefault(e.cell, now - e.seconds)
            self._done[e.cell] += e.n_done
            self._failed[e.cell] += e.n_failed
            self._stored[e.cell] += e.n_stored
            if now - self._last > PLAIN_EVERY_S:
                self._last = now
                rate = self._done[e.cell] / max(now - self._since[e.cell], 1e-9)
                click.echo(f"  {e.alias}: {self._done[e.cell]} of {e.n_items} items, {rate:.1f}/s")
        elif e.kind == "model-error":
            click.echo(f"  {e.alias}: {e.note}", err=True)
        elif e.kind == "damaged":
            click.echo(f"  encoded anew, because the embedding store is damaged: {e.note}", err=True)
        elif e.kind == "done" and e.cell not in self.finished:
            self.finished.add(e.cell)
            self._last = now
            click.echo(f"[{len(self.finished)}/{self.n_cells}] {e.alias}: {self._account(e, now)}")

    def _account(self, e: Event, now: float) -> str:
        if not self._done[e.cell]:
            return f"{e.n_items} items, already done"
        bad = f", {self._failed[e.cell]} failed" if self._failed[e.cell] else ""
        stored = f", {self._stored[e.cell]} embeddings from the store" if self._stored[e.cell] else ""
        return f"{self._done[e.cell]} items in {seconds(now - self._since[e.cell])}{stored}{bad}"


class LiveProgress:
    """One bar for the whole run and one for each cell in progress, with items/s and time left."""

    def __init__(self, n_cells: int) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=16),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
        )
        self._all = self._progress.add_task("cells", total=n_cells, rate="")
        self._tasks: dict[str, Any] = {}
        self._since: dict[str, float] = {}
        self.finished: set[str] = set()

    def __enter__(self) -> LiveProgress:
        self._progress.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._progress.stop()

    def __call__(self, e: Event) -> None:
        if e.kind == "shard":
            if e.cell not in self._tasks:
                self._tasks[e.cell] = self._progress.add_task(self._short(e.alias), total=e.n_items, rate="")
                self._since[e.cell] = time.monotonic() - e.seconds
            task = self._tasks[e.cell]
            self._progress.update(task, total=e.n_items, advance=e.n_done)
            done = self._progress.tasks[self._progress.task_ids.index(task)].completed
            rate = done / max(time.monotonic() - self._since[e.cell], 1e-9)
            self._progress.update(task, rate=f"{rate:.1f} items/s")
        elif e.kind == "model-error":
            self._progress.console.print(f"{e.alias}: {e.note}", markup=False, style="yellow")
        elif e.kind == "damaged":
            what = f"encoded anew, because the embedding store is damaged: {e.note}"
            self._progress.console.print(what, markup=False, style="yellow")
        elif e.kind == "done" and e.cell not in self.finished:
            self.finished.add(e.cell)
            if e.cell in self._tasks:
                self._progress.remove_task(self._tasks.pop(e.cell))
            self._progress.advance(self._all)

    def _short(self, alias: str) -> str:
        """The end of an alias (the model), as much as leaves room for the bar."""
        room = max(20, self._progress.console.width - 56)
        return alias if len(alias) <= room else "…" + alias[1 - room :]


def progress(n_cells: int) -> Any:
    """The display that fits where the output goes."""
    import sys

    return LiveProgress(n_cells) if sys.stderr.isatty() and sys.stdout.isatty() else PlainProgress(n_cells)
