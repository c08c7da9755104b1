"""A soak: kill a run with SIGKILL again and again at random moments, resume it, and compare it with an undisturbed one.

Uses the toy task of tests/resume, which has every moving part of the runner. Longer and more random than the tests:
every kill waits another time, every resume draws another worker count. Exits with 1 on any difference.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from common import child, options, otoscope, show
from otoscope.results.schema import COST_COLUMNS
from otoscope.results.store import Results

TOY = Path(__file__).parents[1] / "tests" / "resume" / "toy.py"
EXPERIMENT = f"""
title = "soak"
[presets.soak]
models = ["file:{TOY}#ToyEncoder:slow=0.004"]
[[presets.soak.grid]]
tasks = ["file:{TOY}#ToyTask:n=120,broken=7", "file:{TOY}#ToyTask:n=120,readout=true,two_rounds=true"]
"""


def rows(into: Path) -> list[dict[str, Any]]:
    store = Results.open(into)
    store.verify()
    table = store.rows().drop_columns(list(COST_COLUMNS))
    return sorted(table.to_pylist(), key=lambda r: (r["cell"], r["item"], r["metric"], r["factors"]))


def kill_once(command: list[str], into: Path, after_s: float) -> bool:
    """Start, wait until the directory is there and then ``after_s``, kill; whether anything was left to kill."""
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    while process.poll() is None and not (into / "cells.parquet").exists():
        time.sleep(0.005)
    time.sleep(after_s)
    landed = process.poll() is None
    if landed:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return landed


def main() -> int:
    parser = options(__doc__)
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--longest", type=float, default=1.5, help="seconds between the directory and the kill")
    chosen = parser.parse_args()
    rng = random.Random(chosen.seed)
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        toml = folder / "soak.toml"
        toml.write_text(EXPERIMENT, encoding="utf-8")

        def command(into: Path, workers: int) -> list[str]:
            return otoscope("run", str(toml), "--into", str(into), "--workers", str(workers), "--json")

        child(command(folder / "undisturbed", 1), codes=(1,))  # 1: the item that is broken on purpose
        expected = rows(folder / "undisturbed")
        landed = runs = compared = differing = 0
        while landed < chosen.kills:
            runs += 1
            into = folder / f"run{runs}"
            for _ in range(rng.randint(3, 15)):
                hit = kill_once(command(into, rng.randint(1, 3)), into, rng.uniform(0.0, chosen.longest))
                landed += hit
                if not hit or landed >= chosen.kills:
                    break
            child(command(into, rng.randint(1, 3)), codes=(1,))
            compared += 1
            differing += rows(into) != expected
    show(
        [
            {
                "kills that hit": landed,
                "runs": compared,
                "rows of each": len(expected),
                "runs that differ": differing,
            }
        ],
        chosen.json,
    )
    return int(differing > 0)


if __name__ == "__main__":
    raise SystemExit(main())
