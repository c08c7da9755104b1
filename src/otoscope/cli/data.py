"""``otoscope data``: look at audio and benchmarks, write a miniature, export stimuli."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from otoscope.cli._common import json_option, print_json, print_table, seconds
from otoscope.cli._embeddings import embeddings
from otoscope.cli._fetch import fetch
from otoscope.cli._overlap import overlap
from otoscope.core.errors import UsageError


@click.group()
def command() -> None:
    """Look at audio data and benchmarks; export stimuli for models that run elsewhere."""


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
Examples:
  otoscope data convert librispeech ~/LibriSpeech --task asr -o librispeech.jsonl
  otoscope data convert audiocaps ~/AudioCaps -o audiocaps.jsonl --partial"""
)
@click.argument("name")
@click.argument("folder", type=click.Path())
@click.option("-o", "--out", type=click.Path(), required=True, help="Where to write the manifest of records.")
@click.option("--task", "tasks", multiple=True, help="Only this task of the data set (repeatable).")
@click.option(
    "--longest", type=click.FloatRange(min=0, min_open=True), default=30.0, show_default=True,
    help="Sounds are cut to so many seconds; transcripts and captions of longer ones are left out.",
)  # fmt: skip
@click.option("--partial", is_flag=True, help="Sounds that are not there are expected: the exit code stays 0.")
@json_option
def convert(
    name: str, folder: str, out: str, tasks: tuple[str, ...], longest: float, partial: bool, as_json: bool
) -> int:
    """Write a manifest of records for training from FOLDER, the data set NAME in its published layout: librispeech,
    voxceleb, fsd50k, esc50, clotho, audiocaps, gtzan, nsynth or musiccaps. Sounds are not copied.

    What is missing, unreadable or too long is left out, counted, and makes the exit code 1."""
    from otoscope.training.uniwhisper.converters import convert as write

    done = write(name, folder, out, tasks, longest)
    failed = 1 if done.left_out and not partial else 0
    if as_json:
        print_json({
            "records": done.n, "hours": done.hours, "cut": done.cut,
            "left_out": [{"sound": sound, "why": why} for sound, why in done.left_out],
        })  # fmt: skip
        return failed
    click.echo(f"{done.n} records, {seconds(3600 * done.hours)}: {out}")
    if done.cut:
        click.echo(f"{done.cut} sounds cut to their first {longest:g} s")
    for sound, why in done.left_out[:10]:
        click.echo(f"left out: {sound}: {why}", err=True)
    if len(done.left_out) > 10:
        click.echo(f"... and {len(done.left_out) - 10} more; --json lists all", err=True)
    return failed


@command.command(
    epilog="""\b
Examples:
  otoscope data shards my-dataset/ --audio audio --answer label --task sound --into shards/
  otoscope data shards google/fleurs --split train --answer transcription --task asr --into fleurs/ --limit 20000"""
)
@click.argument("source")
@click.option("--into", type=click.Path(), required=True, help="A new folder for manifest.jsonl and its tar shards.")
@click.option("--task", required=True, help="What the answers are to: asr, sound, tags, caption, genre, ...")
@click.option("--split", default="train", show_default=True, help="Of the data set.")
@click.option("--audio", default="audio", show_default=True, help="The column of sounds.")
@click.option("--answer", default="text", show_default=True, help="The column of answers: texts, classes or lists.")
@click.option("--group", help="The column of speakers or recordings, which held-out parts keep whole.")
@click.option("--domain", default="", help="speech, sound or music.")
@click.option("--limit", type=click.IntRange(min=1), help="At most this many rows.")
@click.option(
    "--longest", type=click.FloatRange(min=0, min_open=True), default=30.0, show_default=True,
    help="Longer sounds are left out (s).",
)  # fmt: skip
@json_option
def shards(
    source: str, into: str, task: str, split: str, audio: str, answer: str, group: str | None, domain: str,
    limit: int | None, longest: float, as_json: bool,
) -> int:  # fmt: skip
    """Go once through SOURCE by the library datasets (a hub id, a folder it has saved, a parquet or JSON lines file)
    and write its sounds as tar shards with a manifest of records for training. Sounds are copied, not decoded.

    Rows that cannot be read or are too long are left out, counted, and make the exit code 1."""
    from otoscope.training.uniwhisper.streams import Columns, opened, to_shards

    rows, columns, beside = opened(source, split, Columns(audio, answer, group), limit)
    name = Path(source).stem if Path(source).exists() else source
    done = to_shards(
        rows, Path(into), task, columns, name=name, domain=domain, split=split, longest_s=longest, beside=beside
    )
    if as_json:
        print_json({
            "records": done.n, "hours": done.hours, "shards": done.shards,
            "left_out": [{"row": row, "why": why} for row, why in done.left_out],
        })  # fmt: skip
    else:
        click.echo(f"{done.n} records, {seconds(3600 * done.hours)}, {done.shards} shards: {into}")
        for row, why in done.left_out[:10]:
            click.echo(f"left out: {row}: {why}", err=True)
        if len(done.left_out) > 10:
            click.echo(f"... and {len(done.left_out) - 10} more; --json lists all", err=True)
    return 1 if done.left_out else 0


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


@command.command(
    epilog="""\b
Examples:
  otoscope data manifest audiomarathon --data ~/AudioMarathon --out marathon.jsonl
  otoscope data manifest audiomarathon --data ~/AudioMarathon --against marathon.jsonl"""
)
@click.argument("benchmark", type=click.Choice(["audiomarathon"]))
@click.option("--data", type=click.Path(), help="A copy of the data set [default: the package's own miniature].")
@click.option("--task", "tasks", multiple=True, help="Only this task, by its short name (repeatable).")
@click.option("--out", type=click.Path(), help="Where to write the manifest, a JSON object a line.")
@click.option("--against", type=click.Path(), help="An earlier manifest: say what has changed since.")
@json_option
def manifest(
    benchmark: str, data: str | None, tasks: tuple[str, ...], out: str | None, against: str | None, as_json: bool
) -> int:
    """List every sound file that BENCHMARK asks for: sha256, bytes, seconds, rate, and what is missing or unreadable.

    Anything amiss, and any difference from --against, is printed and makes the exit code 1."""
    from dataclasses import asdict

    from otoscope.results.files import write_durably
    from otoscope.tasks.audiomarathon import manifest as made
    from otoscope.tasks.audiomarathon.hub import folder_of
    from otoscope.tasks.audiomarathon.kinds import KINDS
    from otoscope.tasks.audiomarathon.miniature import cached

    if unknown := [t for t in tasks if t not in KINDS]:
        raise UsageError(f"{benchmark} has no task {unknown[0]!r}", fix=f"Tasks: {', '.join(KINDS)}.")
    found = made.describe(cached() if data is None else folder_of(data), tasks)
    changed = [] if against is None else made.changes(made.loads(Path(against)), found.lines)
    if out is not None:
        write_durably(Path(out), made.dumps(found.lines).encode("utf-8"), "artefact")
    if as_json:
        files = [asdict(x) for x in found.lines]
        print_json({"files": files, "absent": dict(found.absent), "problems": found.problems, "changes": changed})
        return 1 if found.problems or changed else 0
    print_table(
        ["task", "entries", "files", "missing", "hours", "rates"],
        [
            (
                task,
                sum(x.entries for x in mine),
                len(mine),
                sum(x.sha256 is None for x in mine),
                sum(x.duration_s or 0.0 for x in mine) / 3600,
                " ".join(sorted({str(x.rate) for x in mine if x.rate})),
            )
            for task in tasks or tuple(KINDS)
            for mine in [[x for x in found.lines if task in x.tasks]]
        ],
    )
    for text in [*found.problems, *changed]:
        click.echo(text, err=True)
    return 1 if found.problems or changed else 0


@command.command(
    epilog="""\b
Example:
  otoscope data miniature audiomarathon my-marathon/ --items 8 --scale 0.1 --sounds recordings/manifest.jsonl"""
)
@click.argument("benchmark", type=click.Choice(["audiomarathon"]))
@click.argument("folder", type=click.Path())
@click.option("--items", type=click.IntRange(min=1), default=24, show_default=True, help="Items of each task.")
@click.option(
    "--scale",
    type=click.FloatRange(min=0, min_open=True),
    default=0.06,
    show_default=True,
    help="Length against that of the published items.",
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=20260612, show_default=True, help="Another seed: other items."
)
@click.option("--sounds", type=click.Path(), help="A manifest of digits and sounds to use beside the package's.")
def miniature(benchmark: str, folder: str, items: int, scale: float, seed: int, sounds: str | None) -> None:
    """Write a small BENCHMARK of the published layout into a new FOLDER, from sounds that the package makes."""
    from otoscope.tasks.audiomarathon.miniature import read_pool, write

    target = Path(folder)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UsageError("is there already", where=folder, fix="Name a new folder.")
    target.mkdir(parents=True, exist_ok=True)
    write(target, read_pool(sounds, "train" if sounds else "test"), n=items, scale=scale, seed=seed)
    click.echo(f"{items} items of each of the ten tasks: otoscope run audiomarathon --data {folder}")


@command.command(
    epilog="""\b
Example (answers from a system that cannot be reached from here):
  otoscope data questions audiomarathon/scr --into questions/
  ... answer line i of questions/questions.jsonl: {"id": ..., "reply": ...} into replies.jsonl ...
  otoscope data import replies.jsonl --task audiomarathon/scr --name their-system --into runs/theirs"""
)
@click.argument("task")
@click.option("--into", type=click.Path(), required=True, help="A new folder for questions.jsonl and its sounds.")
@click.option("--condition", default="intact", show_default=True, help="Under this condition.")
@click.option("--limit", type=click.IntRange(min=1), help="At most this many items.")
def questions(task: str, into: str, condition: str, limit: int | None) -> None:
    """Write what TASK asks: sounds, text, system message and bound on new tokens of every item."""
    from otoscope.experiments.predictions import write_questions

    n = write_questions(task, Path(into), condition=condition, limit=limit)
    click.echo(f"{n} questions: {Path(into) / 'questions.jsonl'}")


@command.command(
    "import",
    epilog="""\b
Example:
  otoscope data import replies.jsonl --task audiomarathon/scr --name their-system --into runs/theirs""",
)
@click.argument("file", type=click.Path())
@click.option("--task", required=True, help="The task whose items the replies are to.")
@click.option("--name", required=True, help="What the model is called in tables.")
@click.option("--into", type=click.Path(), required=True, help="Run directory; further replies may go into the same.")
@click.option("--condition", default="intact", show_default=True, help="The condition under which they were made.")
@click.option("--limit", type=click.IntRange(min=1), help="Only the first items of the task.")
def import_(file: str, task: str, name: str, into: str, condition: str, limit: int | None) -> int:
    """Score the replies of FILE (a JSON object a line: id, reply, and what is known of seconds, audio_tokens,
    text_tokens, output_tokens). Items without a reply count as failed, and make the exit code 1."""
    from otoscope.experiments.predictions import import_predictions

    found = import_predictions(Path(file), task, name, Path(into), condition=condition, limit=limit)
    click.echo(f"{found.n_answered} replies scored, {found.n_missing} items without one: otoscope results {into}")
    return 1 if found.n_missing else 0


command.add_command(embeddings)
command.add_command(fetch)
command.add_command(overlap)


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
