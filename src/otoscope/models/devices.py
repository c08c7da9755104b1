"""Where and how networks run: device, precision, determinism, threads. Execution settings, never identities."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from otoscope.core.errors import ModelError, UsageError

if TYPE_CHECKING:
    import torch

DTYPES = ("float32", "float16", "bfloat16")


def pick(device: str = "auto") -> torch.device:
    """``cpu``, ``cuda``, ``cuda:1``, or ``auto`` (a GPU where there is one). Raises :class:`UsageError` on another
    word and :class:`ModelError` where the GPU that is asked for isn't there."""
    import torch

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    kind, _, index = device.partition(":")
    if kind not in ("cpu", "cuda") or (index and not index.isdecimal()) or (kind == "cpu" and index):
        raise UsageError(f"there is no device {device!r}", fix="Use cpu, cuda, cuda:0 or auto.")
    if kind == "cuda" and (not torch.cuda.is_available() or int(index or 0) >= torch.cuda.device_count()):
        raise ModelError(f"device {device} is not there", fix="Use --device cpu, or auto.")
    return torch.device(device)


def settle(threads: int | None = None) -> None:
    """Make networks repeatable in this process: full fp32 products (no TF32), deterministic kernels where they exist,
    no autotuning. ``threads`` bounds the CPU threads of one operation; None leaves them."""
    import torch

    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when CUDA starts
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    torch.use_deterministic_algorithms(True, warn_only=True)
    if threads is not None:
        if threads < 1:
            raise UsageError(f"threads must be at least 1, got {threads}")
        torch.set_num_threads(threads)


def torch_dtype(name: str) -> torch.dtype:
    """``float32``, ``float16`` or ``bfloat16``; raises :class:`UsageError` on another."""
    import torch

    if name not in DTYPES:
        raise UsageError(f"there is no dtype={name}", fix=f"It is one of: {', '.join(DTYPES)}.")
    return getattr(torch, name)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw torch's CPU random numbers from ``seed`` inside; leave the generator as it was found."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
