"""Figures of UniWhisper's small proof as Markdown tables.

``python tools/uniwhisper_figures.py`` prints the losses of the training that ``docs/explanation/uniwhisper.md`` shows,
from the facts beside the weights. With ``--run runs/encoders``, a directory of ``otoscope run encoders --model
tiny-whisper-base --model tiny-uniwhisper``, it prints how often the probes name the instruments that were held out of
the training, and the others, and how the mean of the speech tasks changes over whole voices.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from otoscope.models.bundled.tiny_whisper import BASE, RESULT, about
from otoscope.results.store import Results
from otoscope.tasks.probes.study import Reading, Study

HELD_OUT = ("clarinet", "glockenspiel")
TASKS = ("probes/notes", "probes/phrases")


def losses(every: int = 500) -> str:
    """Loss by answer token over the continued training; held-out losses are of the averaged weights."""
    header = ["step", "digits", "speakers", "sounds", "instruments", "held-out sounds", "held-out instruments"]
    rows = [header, ["---"] * len(header)]
    for line in about(RESULT)["curve"]:
        if line["step"] == 50 or line["step"] % every == 0:
            told = line["loss"], line.get("held_out", {})
            found = [told[0].get(t) for t in ("asr", "speaker", "sound", "instrument")]
            found += [told[1].get(t) for t in ("sound", "instrument")]
            rows.append([str(line["step"]), *("" if x is None else f"{x:.2f}" for x in found)])
    return _markdown(rows)


def instruments(run: Path) -> str:
    """Share of notes and phrases whose instrument is named, before and after, and the difference (bootstrap over
    items, 95 %)."""
    rows = [["probe", "instruments", "items", "before", "after", "difference"], ["---"] * 6]
    found = _correct(run)
    for probe in sorted({p for p, _ in found}):
        before, after = found[probe, BASE], found[probe, RESULT]
        for held in (True, False):
            items = sorted(i for i in before if (_instrument(i) in HELD_OUT) is held)
            gain = np.array([after[i] - before[i] for i in items])
            low, high = _interval(gain, 4000)
            means = [float(np.mean([side[i] for i in items])) for side in (before, after)]
            rows.append(
                [probe, "held out" if held else "others", str(len(items)), *(f"{m:.2f}" for m in means),
                 f"{gain.mean():+.2f} [{low:+.2f}, {high:+.2f}]"]
            )  # fmt: skip
    return _markdown(rows)


def speech(run: Path) -> str:
    """The mean of the speech tasks, after less before: whole voices are drawn, with all that they say in every task,
    because both tasks hear the same recordings (bootstrap, 95 %)."""
    rows = [["probe", "voices", "difference over whole voices"], ["---"] * 3]
    read: dict[str, dict[str, dict[str, Reading]]] = {}
    for r in Study(Results.open(run)).last:
        if r.domain == "speech" and r.model in (BASE, RESULT):
            read.setdefault(r.probe, {}).setdefault(r.task, {})[r.model] = r
    for probe, tasks in sorted(read.items()):
        gains: dict[str, dict[str, list[float]]] = {}
        for task, sides in tasks.items():
            before, after = sides[BASE], sides[RESULT]
            then = dict(zip(after.items, after.shares.tolist(), strict=True))
            for item, voice, share in zip(before.items, before.groups, before.shares.tolist(), strict=True):
                gains.setdefault(voice, {}).setdefault(task, []).append(then[item] - share)
        means = np.array([np.mean([np.mean(v) for v in by.values()]) for by in gains.values()])
        low, high = _interval(means, 20000)
        rows.append([probe, str(len(means)), f"{means.mean():+.3f} [{low:+.3f}, {high:+.3f}]"])
    return _markdown(rows)


def _interval(values: NDArray[np.float64], resamples: int) -> tuple[float, float]:
    """Of the mean, by bootstrap over ``values``."""
    drawn = np.random.default_rng(0).integers(len(values), size=(resamples, len(values)))
    low, high = np.quantile(values[drawn].mean(1), [0.025, 0.975])
    return float(low), float(high)


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _instrument(item: str) -> str:
    return item.rpartition("/")[2].rpartition("-")[0]


def _correct(run: Path) -> Mapping[tuple[str, str], Mapping[str, float]]:
    """By probe and model: items of :data:`TASKS`, and how often each was right over the probe's seeds."""
    results = Results.open(run)
    found: dict[tuple[str, str], dict[str, list[float]]] = {}
    for cell in results.cells():
        task, model = str(cell.task), str(cell.model)
        if task not in TASKS or model not in (BASE, RESULT):
            continue
        for row in results.rows(cells=[cell.cell], metrics=["correct"]).to_pylist():
            if row["metric"] == "correct" and row["value"] is not None:
                probe = str(json.loads(row["factors"])["probe"])
                found.setdefault((probe, model), {}).setdefault(f"{task}/{row['item']}", []).append(float(row["value"]))
    return {key: {i: float(np.mean(v)) for i, v in by.items()} for key, by in found.items()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path)
    chosen = parser.parse_args()
    print(losses() if chosen.run is None else f"{instruments(chosen.run)}\n\n{speech(chosen.run)}")
