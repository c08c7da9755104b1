"""A run killed at any moment and resumed, with any number of workers, ends with the rows of an undisturbed one."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from otoscope.core import faults
from otoscope.results.schema import COST_COLUMNS
from otoscope.results.store import Results

TOY = Path(__file__).with_name("toy.py")
EXPERIMENT = f"""
title = "toy"
[presets.small]
models = ["file:{TOY}#ToyEncoder:slow=0.002"]
[[presets.small.grid]]
tasks = ["file:{TOY}#ToyTask:broken=7", "file:{TOY}#ToyTask:readout=true,two_rounds=true"]
"""


def start(folder: Path, into: Path, workers: int = 1, fault: str | None = None) -> subprocess.Popen[bytes]:
    path = folder / "toy.toml"
    path.write_text(EXPERIMENT)
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    env.pop("OTOSCOPE_FAULT", None)
    if fault:
        env["OTOSCOPE_FAULT"] = fault
    command = [
        sys.executable,
        "-m",
        "otoscope",
        "run",
        str(path),
        "--into",
        str(into),
        "--workers",
        str(workers),
        "--json",
    ]
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)


def finish(folder: Path, into: Path, workers: int = 1) -> None:
    process = start(folder, into, workers)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1, err.decode()  # 1: the broken item failed, as it must


def rows(into: Path) -> list[dict[str, object]]:
    store = Results.open(into)
    store.verify()
    table = store.rows().drop_columns(list(COST_COLUMNS))
    found = sorted(table.to_pylist(), key=lambda r: (r["cell"], r["item"], r["metric"], r["factors"]))
    keys = [(r["cell"], r["item"], r["metric"], r["factors"]) for r in found]
    assert len(keys) == len(set(keys)), "a row is there twice"
    return found


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    finish(folder, folder / "run")
    found = rows(folder / "run")
    assert sum(r["status"] == "failed" for r in found) == 1
    assert {r["metric"] for r in found} >= {"distance", "floor", "rank"}
    return found


def kill(process: subprocess.Popen[bytes]) -> bool:
    """Kill the process and its workers; whether it was still running."""
    alive = process.poll() is None
    if alive:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    return alive


@pytest.mark.kill
@pytest.mark.parametrize("workers", [1, 2])
def test_random_kills(tmp_path, undisturbed, workers):
    """Ten kills each, at random moments after the directory exists; every resume uses another worker count."""
    rng = random.Random(workers)
    into = tmp_path / "run"
    landed = attempts = 0
    while landed < 10 and attempts < 40:
        attempts += 1
        process = start(tmp_path, into, workers=workers if attempts % 2 else 3 - workers)
        while process.poll() is None and not (into / "cells.parquet").exists():
            time.sleep(0.01)
        time.sleep(rng.uniform(0.05, 0.9))
        landed += kill(process)
        if attempts % 5 == 0 and into.exists():  # start over now and then, so that early moments are hit too
            into = tmp_path / f"run{attempts}"
    assert landed == 10, f"only {landed} kills hit a running process"
    finish(tmp_path, into, workers=3 - workers)
    assert rows(into) == undisturbed


@pytest.mark.kill
@pytest.mark.parametrize("point", faults.POINTS)
def test_kills_inside_writes(tmp_path, undisturbed, point):
    """The process kills itself inside a write; the count proves that it did."""
    into = tmp_path / "run"
    n = 3 if ".shard." in point else 1
    process = start(tmp_path, into, fault=f"{point}:{n}")
    process.communicate(timeout=120)
    assert process.returncode == -signal.SIGKILL, f"no kill landed at {point}"
    finish(tmp_path, into)
    assert rows(into) == undisturbed


def test_a_second_run_does_nothing_and_a_larger_one_adds(tmp_path, undisturbed):
    into = tmp_path / "run"
    finish(tmp_path, into, workers=2)
    before = {p: p.stat().st_mtime_ns for p in into.glob("items/*/*.parquet")}
    finish(tmp_path, into)
    after = {p: p.stat().st_mtime_ns for p in into.glob("items/*/*.parquet")}
    assert before.items() <= after.items()
    assert len(after) - len(before) == 1, "only the shard with the failed item is tried again"
    assert rows(into) == undisturbed


def test_two_commands_share_one_directory(tmp_path, undisturbed):
    into = tmp_path / "run"
    first, second = start(tmp_path, into), start(tmp_path, into, workers=2)
    for process in (first, second):
        _, err = process.communicate(timeout=120)
        assert process.returncode == 1, err.decode()
    assert rows(into) == undisturbed
