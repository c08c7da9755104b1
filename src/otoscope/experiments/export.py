"""Stimuli as files, for models that cannot be wrapped: every sound an experiment would encode, once.

The folder gets WAV files (float32, bit-exact) and ``manifest.jsonl``, one line per sound in a fixed order. Embed line
``i`` into row ``i`` of a matrix, and the matrix is a model: ``embeddings:path=E.npy,manifest=FOLDER/manifest.jsonl``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from otoscope.audio.io import write
from otoscope.core.audio import Audio
from otoscope.core.errors import UsageError
from otoscope.core.items import Item
from otoscope.core.nouns import Card, Encode
from otoscope.experiments.experiment import Experiment
from otoscope.tasks.catalogue import resolve_condition, resolve_task


@dataclass(frozen=True)
class Exported:
    folder: Path
    manifest: Path
    n_sounds: int
    seconds: float


def export(exp: Experiment, into: str | Path, *, rate: int = 16_000) -> Exported:
    """Write the sounds of ``exp``'s encoder tasks at ``rate`` Hz with both channels. A folder that already holds a
    manifest is refused: rows of a matrix are found by line number."""
    folder = Path(into)
    manifest = folder / "manifest.jsonl"
    if manifest.exists():
        raise UsageError("already holds exported stimuli", where=str(manifest), fix="Choose another folder.")
    folder.mkdir(parents=True, exist_ok=True)
    seen: set[str] = set()
    lines: list[str] = []
    seconds = 0.0
    for item, name, audio, origin in _sounds(exp, rate):
        key = audio.digest()
        if key in seen:
            continue
        seen.add(key)
        file = f"{len(lines):06d}.wav"
        write(folder / file, audio, subtype="FLOAT")
        seconds += audio.duration_s
        lines.append(
            json.dumps(
                {
                    "row": len(lines),
                    "file": file,
                    "sha256_samples": key,
                    "rate": audio.rate,
                    "channels": audio.channels,
                    "duration_s": audio.duration_s,
                    "input": name,
                    "item": item.id,
                    **origin,
                },
                sort_keys=True,
            )
        )
    if not lines:
        raise UsageError("this experiment encodes no sounds")
    partial = manifest.with_suffix(".tmp")  # the manifest comes last: a folder with one is complete
    partial.write_text("\n".join(lines) + "\n", encoding="utf-8")
    partial.replace(manifest)
    return Exported(folder, manifest, len(lines), seconds)


def _sounds(exp: Experiment, rate: int) -> Iterator[tuple[Item, str, Audio, dict[str, Any]]]:
    listener = Card(name="export", capability="encoder", summary="", rate=rate, channels=2)
    done: set[tuple[str, str, int]] = set()
    for cell in exp.cells():
        key = (str(cell.task), str(cell.condition), cell.seed)
        if key in done:
            continue
        done.add(key)
        task = resolve_task(cell.task, seed=cell.seed)
        condition = resolve_condition(cell.condition)
        refuses = getattr(task, "refuses", None)
        if task.accepts(listener) or (refuses and refuses(condition.label, listener)):
            continue
        if task.rounds > 1:
            raise UsageError(
                f"task {cell.task} places its items adaptively: its sounds are not known before a model has answered",
                fix="Export with a task that has one round (adaptive=false).",
            )
        items = list(task.items(0))
        for item in items if exp.limit is None else items[: exp.limit]:
            shown = condition(item)
            request = task.request(shown, listener)
            if isinstance(request, Encode):
                rendered = shown.inputs.render(rate)
                for name in request.inputs:
                    yield item, name, rendered[name], {"task": str(cell.task), "condition": str(cell.condition)}
