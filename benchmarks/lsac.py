"""LSAC and its rivals at the published sizes: wall time, operations, peak memory; and what the engine itself costs.

Weights are random, the solver is Euler's. Methods take turns within a round; figures are of medians over rounds (of
each part of a solve), ranges are of single rounds. *Saved wall re saved FLOPs* is the share of wall time saved over the
share of operations saved: 1 where each operation left out saves its share of the time. On a machine that others use
too, ``--clock cpu`` takes the processor time of the one thread instead, and the columns say so. Operations are those
that the interventions' own tally counts. The peak is the resident memory of a process of its own (on a GPU, what was
allocated), weights included; small only on a CPU. *From*: a GPU runs whole solves; a CPU does up to 10 s of sound for
small, and otherwise composes a solve of measured evaluations (small up to 30 s) or of measured per-layer costs.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from common import child, options, peak_mb, show
from flow_engine import engine_rows
from flow_methods import Cost, by_evaluation, by_solve, methods
from flow_runs import FlowRun, frames_of
from otoscope.models import devices
from otoscope.models.separators.dit import SIZES

HOW = {"solves": "whole solves", "evaluations": "measured evaluations", "layers": "measured per-layer costs"}
#: Up to so many seconds of sound a CPU runs whole solves, and whole evaluations, of the small network.
SOLVED_S, EVALUATED_S = 10.0, 30.0


def main() -> None:
    parser = arguments()
    chosen = parser.parse_args()
    if chosen.clock == "cpu" and (chosen.device != "cpu" or chosen.threads != 1):
        parser.error("--clock cpu is for one thread on a CPU")
    devices.settle(chosen.threads)
    with torch.no_grad():
        if chosen.peak_of:
            print(peak(chosen))
            return
        rows = [row for size in chosen.size for s in chosen.seconds for row in compare(chosen, size, s)]
        # The small network, which is the one where the engine's share is largest.
        engine = (
            engine_rows(_run(chosen, "small", chosen.seconds[0]), chosen.engine_pairs) if chosen.engine_pairs else []
        )
    shown = [{k: v for k, v in row.items() if not k.startswith("_")} for row in rows]
    if chosen.out:
        about = {"torch": torch.__version__, "threads": chosen.threads, "load": os.getloadavg(), "argv": sys.argv[1:]}
        data = {"about": about, "methods": rows, "engine": engine}
        Path(chosen.out).write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    if chosen.json:
        print(json.dumps({"methods": shown, "engine": engine}, indent=1))
        return
    show(shown, False)
    if engine:
        print()
        show(engine, False)


def arguments() -> argparse.ArgumentParser:
    parser = options(__doc__ or "")
    parser.add_argument("--size", nargs="+", choices=tuple(SIZES), default=["small"])
    parser.add_argument("--seconds", nargs="+", type=float, default=[10.0, 30.0])
    parser.add_argument("--steps", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=3, help="rounds in which the methods take turns")
    parser.add_argument("--engine-pairs", type=int, default=15, help="evaluations with and without hooks; 0: none")
    parser.add_argument("--by", choices=tuple(HOW), help="what solves are composed of, instead of the usual")
    parser.add_argument(
        "--clock", choices=("wall", "cpu"), default="wall", help="cpu: processor time, if others work too"
    )
    parser.add_argument("--no-peaks", action="store_true", help="measure no memory")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", choices=devices.DTYPES, default="float32")
    parser.add_argument("--out", help="a JSON file for the table and the seconds behind it")
    parser.add_argument("--peak-of", help=argparse.SUPPRESS)
    return parser


def compare(chosen: argparse.Namespace, size: str, seconds: float) -> list[dict[str, Any]]:
    """A row per method for one size and one length of sound."""
    how = chosen.by or _usual(chosen.device, size, seconds)
    run, known = _run(chosen, size, seconds, layers=1 if how == "layers" else None), methods(chosen.steps)
    run.evaluations()(0)
    measure, rounds, order = (
        by_solve if how == "solves" else by_evaluation,
        list[dict[str, Cost]](),
        list(known.values()),
    )
    for i in range(chosen.repeats):
        turns = [*order[i % len(order) :], *order[: i % len(order)]]
        rounds.append(measure(run, turns, SIZES[size].layers))
        print(f"{size}, {seconds:g} s of sound, {HOW[how]}: round {i + 1}", file=sys.stderr, flush=True)
    del run
    told = not chosen.no_peaks and (size == "small" or chosen.device != "cpu")
    peaks = {name: _peak(chosen, size, seconds, name) if told else None for name in known}
    return [_row(size, seconds, HOW[how], name, rounds, peaks, chosen.clock) for name in known]


def _usual(device: str, size: str, seconds: float) -> str:
    if device != "cpu" or (size == "small" and seconds <= SOLVED_S):
        return "solves"
    return "evaluations" if size == "small" and seconds <= EVALUATED_S else "layers"


def _row(
    size: str,
    seconds: float,
    how: str,
    name: str,
    rounds: Sequence[dict[str, Cost]],
    peaks: dict[str, float | None],
    clock: str,
) -> dict[str, Any]:
    took, full_took = (_took(rounds, each, clock) for each in (name, "full"))
    ratio = took / full_took
    ratios = [getattr(r[name].took, clock) / getattr(r["full"].took, clock) for r in rounds]
    flops, top, full = rounds[0][name].flops, peaks[name], peaks["full"]
    gain, *gains = [(1 - x) / (1 - flops) if flops < 1 else None for x in (ratio, *ratios)]
    return {
        "size": size,
        "sound, s": seconds,
        "method": name,
        f"{clock} re full": ratio,
        "range": None if name == "full" else _range(ratios),
        "FLOPs re full": flops,
        f"saved {clock} re saved FLOPs": gain,
        "its range": None if name == "full" else _range(gains),
        "solve, s": took,
        "peak MB": None if top is None else round(top),
        "peak re full": None if top is None or full is None else top / full,
        "from": how,
        "_wall_s": [r[name].took.wall for r in rounds],
        "_cpu_s": [r[name].took.cpu for r in rounds],
    }


def _took(rounds: Sequence[dict[str, Cost]], name: str, clock: str) -> float:
    """The median over rounds of each part, added up; of the wall clock or the processor's."""
    parts = zip(*(r[name].parts for r in rounds), strict=True)
    return sum(statistics.median(getattr(part, clock) for part in same) for same in parts)


def _range(values: Sequence[float]) -> str:
    return f"{min(values):.3f} to {max(values):.3f}"


def _run(chosen: argparse.Namespace, size: str, seconds: float, layers: int | None = None) -> FlowRun:
    config = SIZES[size] if layers is None else replace(SIZES[size], layers=layers)
    return FlowRun(config, frames_of(seconds), chosen.steps, devices.pick(chosen.device), chosen.dtype)


def peak(chosen: argparse.Namespace) -> float:
    """Of one evaluation of each kind: nothing more is ever held at once."""
    run = _run(chosen, chosen.size[0], chosen.seconds[0])
    by_evaluation(run, [methods(chosen.steps)[chosen.peak_of]], run.config.layers)
    return torch.cuda.max_memory_allocated(run.device) / 1e6 if run.device.type == "cuda" else peak_mb()


def _peak(chosen: argparse.Namespace, size: str, seconds: float, name: str) -> float:
    command = [sys.executable, __file__, "--peak-of", name, "--size", size, "--seconds", str(seconds)]
    same = [f"--{key}={getattr(chosen, key)}" for key in ("steps", "threads", "device", "dtype")]
    return float(child([*command, *same]).output.split()[-1])


if __name__ == "__main__":
    main()
