"""What the benchmark scripts share: options, tables, child processes whose time and peak memory are measured."""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


def options(about: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return parser


def show(rows: Sequence[Mapping[str, Any]], as_json: bool) -> None:
    """Rows with the same keys, as a Markdown table or as JSON."""
    if as_json:
        print(json.dumps(list(rows), indent=1))
        return
    keys = list(rows[0])
    print("| " + " | ".join(keys) + " |")
    print("|" + "---|" * len(keys))
    for row in rows:
        print("| " + " | ".join(_cell(row[k]) for k in keys) + " |")


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


@dataclass(frozen=True)
class Spent:
    """Wall seconds, CPU seconds and peak resident megabytes of a child process and its children."""

    wall_s: float
    cpu_s: float
    peak_mb: float
    output: str


def child(command: Sequence[str], *, codes: Sequence[int] = (0,), **environment: str) -> Spent:
    """Run ``command`` in a process of its own; another exit code than ``codes`` ends the benchmark."""
    env = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", **environment}
    read, write = os.pipe()
    start = time.perf_counter()
    with os.fdopen(read) as pipe:
        process = subprocess.Popen(list(command), env=env, stdout=write, stderr=subprocess.STDOUT)
        os.close(write)
        output = pipe.read()
        _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in codes:
        raise SystemExit(f"{' '.join(command)} exits with {process.returncode}:\n{output}")
    scale = 1e6 if sys.platform == "darwin" else 1e3  # ru_maxrss: bytes there, kilobytes elsewhere
    return Spent(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / scale, output)


def otoscope(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "otoscope", *arguments]


def peak_mb() -> float:
    """Peak resident megabytes of this process. ``ru_maxrss`` of a child starts at its parent's peak on Linux, because
    the parent's memory is its own until it executes; the kernel's ``VmHWM`` does not."""
    status = Path("/proc/self/status")
    if found := re.search(r"VmHWM:\s+(\d+) kB", status.read_text() if status.exists() else ""):
        return int(found[1]) * 1024 / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)
