"""``otoscope data embeddings``: what is in the embedding store."""

from __future__ import annotations

from dataclasses import asdict

import click

from otoscope.cli._common import embeddings_option, json_option, print_json, print_table, size
from otoscope.core.errors import UsageError


@click.command(
    epilog="""\b
Examples:
  otoscope data embeddings
  otoscope data embeddings --verify --json"""
)
@embeddings_option
@click.option("--verify", is_flag=True, help="Read every file; what is damaged is listed and makes the exit code 1.")
@json_option
def embeddings(embeddings: str | None, verify: bool, as_json: bool) -> int:
    """List the embeddings that runs have kept, by encoder and how it was looked at. Any folder of the list may be
    deleted: what is missing is encoded again."""
    from otoscope.results.embeddings import EmbeddingStore, checked_folder

    folder = checked_folder(embeddings)
    if folder is None:
        raise UsageError("no embeddings are kept: the store is off", fix="Name a folder with --embeddings.")
    found = EmbeddingStore(folder).holdings(verify)
    bad = [what for h in found for what in h.damaged]
    if as_json:
        print_json({"folder": str(folder), "models": [asdict(h) for h in found]})
        return 1 if bad else 0
    rows = [
        (h.name, h.identity.get("pool"), h.identity.get("channels"), h.n_sounds, h.n_files, size(h.n_bytes), h.model)
        for h in found
    ]
    print_table(["model", "pool", "channels", "sounds", "files", "space", "folder"], rows, title=str(folder))
    for what in bad:
        click.echo(f"damaged: {what}", err=True)
    return 1 if bad else 0
