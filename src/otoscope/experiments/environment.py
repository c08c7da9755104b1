"""What a run was made on: versions and hardware, without importing anything heavy."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from shutil import which
from typing import Any

_RECORDED = (
    "numpy", "scipy", "scikit-learn", "pyarrow", "torch", "transformers", "soundfile", "soxr", "mir_eval", "pystoi",
    "pesq",
)  # fmt: skip
#: What an NVIDIA driver is asked about each GPU.
_GPU = ("name", "driver_version", "memory.total")


def environment() -> dict[str, Any]:
    """JSON: Python, platform, processor, memory (bytes), GPUs with their driver, packages, the command."""
    found = {}
    for name in ("otoscope", *_RECORDED):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "processor": _processor(),
        "cpus": os.cpu_count(),
        "memory_bytes": _memory_bytes(),
        "gpus": _gpus(),
        "packages": found,
        "argv": [Path(sys.argv[0]).name, *sys.argv[1:]],
    }


def _processor() -> str | None:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or None
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), None)


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # not a POSIX system
        return None


def _gpus() -> list[dict[str, str]]:
    """One entry per GPU, as the driver's own tool tells; empty where there is none."""
    if which("nvidia-smi") is None:
        return []
    ask = ["nvidia-smi", f"--query-gpu={','.join(_GPU)}", "--format=csv,noheader"]
    try:
        told = subprocess.run(ask, capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError) as e:
        return [{"error": f"nvidia-smi: {type(e).__name__}"}]
    return [dict(zip(_GPU, map(str.strip, line.split(",")), strict=False)) for line in told.splitlines() if line]
