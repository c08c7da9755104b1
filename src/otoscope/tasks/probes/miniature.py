"""Miniature archives of any of the 22 tasks, in exactly the published form, on generated sounds. Ours.

For trying a run without a download, and for tests: names of archives, JSON members and labels are the task's; sounds,
their number and their lengths are not, so scores mean nothing. Class k sounds like the k-th instrument or event of the
generator.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from otoscope.audio import generator
from otoscope.audio.resample import resample
from otoscope.tasks.probes.catalog import XaresTask
from otoscope.tasks.probes.writer import write_tar

#: Rates of the sounds, in turn: archives mix them.
RATES = (16_000, 22_050)


def write_miniature(
    task: XaresTask,
    root: Path,
    *,
    n: int = 16,
    n_classes: int = 4,
    shards: int = 2,
    seed: int = 0,
    seconds: tuple[float, ...] = (1.0, 1.6),
    rates: tuple[int, ...] = RATES,
) -> Path:
    """Archives under ``root/<name>/``: ``n`` clips a part, in ``shards`` archives where their names allow for several.
    ``seconds`` are the clips' lengths and ``rates`` (Hz) their rates, in turn. Returns the folder."""
    folder = root / task.name
    folder.mkdir(parents=True, exist_ok=True)
    for number, (part, pattern) in enumerate(task.parts.items()):
        made = list(_samples(task, part, n, n_classes, 1000 * number + seed % 1000, seconds, rates))
        count = min(shards, n) if "*" in pattern else 1
        size = -(-n // count)
        for shard in range(count):
            path = folder / pattern.replace("*", f"0{shard:05d}")
            write_tar(path, made[shard * size : (shard + 1) * size])
    return folder


def _samples(
    task: XaresTask,
    part: str,
    n: int,
    n_classes: int,
    seed: int,
    seconds: tuple[float, ...],
    rates: tuple[int, ...],
) -> Iterator[tuple[str, str, bytes, Any]]:
    sounds = [(kind, label) for kind in ("note", "event") for label in generator.catalogue()[kind]]
    for k in range(n):
        duration = seconds[k % len(seconds)]
        c = k % n_classes
        kind, label = sounds[c % len(sounds)]
        made = generator.generate(kind, label, seed + k, 16_000, duration)
        sound = _wav(resample(made, rates[k % len(rates)]))
        yield _key(task, part, k, seed), "wav", sound, _meta(task, c, k, duration)


def _wav(audio: Any) -> bytes:
    held = io.BytesIO()
    soundfile.write(held, np.clip(audio.samples.T, -1, 1), audio.rate, format="WAV", subtype="PCM_16")
    return held.getvalue()


def _key(task: XaresTask, part: str, k: int, seed: int) -> str:
    """Names as the data sets give them, where the group is read from the name. Two clips a group; no group is in two
    parts."""
    g = seed // 1000 * 50 + k // 2
    named = {
        "esc50": f"{part}-{100 + g}-A-{k}",
        "cremad": f"{1001 + g}_{part}_ANG_{k:02d}",
        "ravdess": f"03-01-0{k % 8}-{k:02d}-{1 + g // 50 * 6 + k // 2 % 6:02d}",
        "urbansound8k": f"{1000 + g}-{k}-0-{part}",
        "librispeech": f"{100 + g}-{part}-{k:04d}",
        "librispeechmalefemale": f"{100 + g}-{part}-{k:04d}",
        "speechcommandsv1": f"{g:08x}_nohash_{k}_{part}",
        "vocalsound": f"f{g:04d}_{part}_{k}",
        "nsynthinstument": f"{part}_acoustic_{g}-{k % 88:03d}-100",
    }
    return named.get(task.name, f"{part}_{k:04d}")


def _meta(task: XaresTask, c: int, k: int, duration: float) -> Any:
    if task.kind == "contrastive":
        return {f"caption_{i + 1}": f"sound number {c}, said in the way {i}" for i in range(5)}
    if task.kind == "asr":
        return {task.field: ("ONE TWO", "THREE FOUR", "FIVE", "SIX SEVEN")[c % 4], "speaker": k}
    if task.kind == "frame":
        name: Any = task.classes[c]
        if task.field == "note":
            return [{"start": 0.1, "end": round(0.8 * duration, 3), "note": int(name)}]
        return [{"onset": 0.0, "offset": duration, "label": name}]
    if task.separator is not None:
        return {task.field: task.separator.join([f"class_{c:03d}", f"class_{c + 1:03d}"][: 1 + k % 2])}
    if task.name in ("esc50", "libricount"):
        return {task.field: c}
    return {task.field: task.classes[c % len(task.classes)] if task.classes else f"class_{c:03d}"}
