"""What several verbs share: options, tables, JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import click

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
trust_option = click.option(
    "--trust-remote-code",
    is_flag=True,
    help="Run Python code of others: a checkpoint's, whose revision must be pinned (MODEL:revision=COMMIT), or an "
    "encoder's that was written for X-ARES or HEAR (xares:, hear:).",
)
embeddings_option = click.option(
    "--embeddings",
    metavar="DIR|off",
    help="Where embeddings are kept for other runs [default: $OTOSCOPE_EMBEDDINGS, else a folder of the cache].",
)


def print_recalled(recalled: Any, folder: Any) -> None:
    """What of the embeddings behind a run was in the embedding store; nothing where no store was asked."""
    if recalled.stored or recalled.encoded:
        damaged = f", {recalled.damaged} damaged files replaced" if recalled.damaged else ""
        click.echo(f"embeddings: {recalled.stored} from the store, {recalled.encoded} encoded{damaged} ({folder})")


def print_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False))


def print_table(header: Sequence[str], rows: Sequence[Sequence[Any]], title: str | None = None) -> None:
    """A table for people: rich in a terminal, plain aligned text in a pipe (never cut)."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    if not console.is_terminal:
        _plain(header, rows, title)
        return
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for name in header:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(_cell(v) for v in row))
    console.print(table, markup=False)


def _plain(header: Sequence[str], rows: Sequence[Sequence[Any]], title: str | None) -> None:
    if title:
        click.echo(title)
    cells = [list(header), *[[_cell(v) for v in row] for row in rows]]
    widths = [max(len(r[i]) for r in cells) for i in range(len(header))]
    for row in cells:
        click.echo("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip())


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def seconds(value: float) -> str:
    """A duration for people."""
    if value < 1:
        return f"{value:.1f} s"
    if value < 90:
        return f"{value:.0f} s"
    if value < 5400:
        return f"{value / 60:.0f} min"
    return f"{value / 3600:.1f} h"


def size(n: float) -> str:
    """Bytes for people."""
    for unit in ("B", "kB", "MB"):
        if n < 1000:
            return f"{n:.0f} {unit}"
        n /= 1000
    return f"{n:.1f} GB"
