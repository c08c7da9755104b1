"""``otoscope data``: look at audio, and export stimuli."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from otoscope.cli._common import json_option, print_json, print_table, seconds


@click.group()
def command() -> None:
    """Look at audio data; export stimuli for models that run elsewhere."""


@command.command(
    epilog="""\b
Examples:
  otoscope data ls
  otoscope data ls my-recordings/
  otoscope data ls my-recordings/manifest.jsonl --json"""
)
@click.argument("source", required=False, type=click.Path())
@json_option
def ls(source: str | None, as_json: bool) -> int:
    """Summarise the clips of SOURCE: a manifest.jsonl or any folder of audio. Without SOURCE: the speech that comes
    with the package. Unreadable files are listed, and make the exit code 1."""
    clips, bad = _clips(source)
    if as_json:
        print_json({"clips": [_plain(c) for c in clips], "unreadable": bad})
        return 1 if bad else 0
    total = sum(c.duration_s for c in clips)
    click.echo(f"{len(clips)} clips, {seconds(total)}, {len({c.group for c in clips})} groups")
    for name, values in (("rate", [f"{c.rate} Hz" for c in clips]), ("channels", [c.channels for c in clips])):
        print_table([name, "clips"], sorted(Counter(values).items(), key=str))
    for path, why in bad:
        click.echo(f"unreadable: {path}: {why}", err=True)
    return 1 if bad else 0


@command.command(
    epilog="""\b
Example:
  otoscope data scan my-recordings/ --out my-recordings/manifest.jsonl"""
)
@click.argument("folder", type=click.Path())
@click.option("--out", type=click.Path(), required=True, help="Where to write the manifest.")
def scan(folder: str, out: str) -> int:
    """Write a manifest.jsonl for a FOLDER of audio: path, duration, rate, channels, sha256, group."""
    from otoscope.audio.corpus import write_manifest

    clips, bad = _scan(folder)
    write_manifest(out, clips)
    click.echo(f"{len(clips)} clips in {out}")
    for path, why in bad:
        click.echo(f"unreadable: {path}: {why}", err=True)
    return 1 if bad else 0


@command.command(
    epilog="""\b
Example (a model that cannot be wrapped):
  otoscope data export bmld --task bmld --into stimuli/
  ... embed line i of stimuli/manifest.jsonl into row i of E.npy ...
  otoscope run bmld --task bmld --model embeddings:path=E.npy,manifest=stimuli/manifest.jsonl"""
)
@click.argument("experiment")
@click.option("--into", type=click.Path(), required=True, help="A new folder for the WAV files and their manifest.")
@click.option("--preset", help="A preset of the experiment; its default if not given.")
@click.option("--task", "tasks", multiple=True, help="Only this task (repeatable).")
@click.option("--condition", "conditions", multiple=True, help="These conditions instead of the preset's (repeatable).")
@click.option("--limit", type=click.IntRange(min=1), help="At most this many items per task and condition.")
@click.option("--seed", type=click.IntRange(min=0), help="Root seed instead of the preset's.")
@click.option("--rate", type=click.IntRange(min=8000), default=16000, show_default=True, help="Sample rate (Hz).")
@json_option
def export(experiment: str, into: str, preset: str | None, rate: int, as_json: bool, **overrides: Any) -> None:
    """Write every sound that EXPERIMENT would encode, once, as float WAV with a manifest."""
    from otoscope.experiments.experiment import load_experiment
    from otoscope.experiments.export import export as write

    done = write(load_experiment(experiment, preset).override(**overrides), into, rate=rate)
    if as_json:
        print_json({"manifest": str(done.manifest), "sounds": done.n_sounds, "seconds": done.seconds})
    else:
        click.echo(f"{done.n_sounds} sounds ({seconds(done.seconds)}): {done.manifest}")


def _clips(source: str | None) -> tuple[list[Any], list[tuple[str, str]]]:
    from otoscope.audio.corpus import read_manifest
    from otoscope.audio.speech import bundled_speech

    if source is None:
        return list(bundled_speech()), []
    path = Path(source)
    if path.suffix == ".jsonl" or (path / "manifest.jsonl").is_file():
        return list(read_manifest(path)), []
    return _scan(source)


def _scan(folder: str) -> tuple[list[Any], list[tuple[str, str]]]:
    from otoscope.audio.corpus import scan_folder

    found = scan_folder(folder, on_unreadable="report", decode=True)
    return list(found.clips), [(str(path), why) for path, why in found.unreadable]


def _plain(clip: Any) -> dict[str, Any]:
    return {
        **{f.name: getattr(clip, f.name) for f in fields(clip)},
        "path": str(clip.path),
        "labels": dict(clip.labels),
    }
