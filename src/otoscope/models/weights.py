"""Digests of weights: what makes two networks the same network.

A state dict is hashed tensor by tensor (name, dtype, shape, bytes) in sorted order, so the order in which a module
lists its parameters does not matter and a reshaped or recast tensor does. Files are hashed whole.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from otoscope.core.errors import ModelError
from otoscope.core.identity import digest, file_digest


def state_digest(state: Mapping[str, Any]) -> str:
    """sha256 over the tensors of a state dict. Extra state that is not a tensor enters by its ``repr``."""
    import torch

    total = hashlib.sha256()
    for name in sorted(state):
        value = state[name]
        if not isinstance(value, torch.Tensor):
            total.update(f"{name}|{type(value).__name__}|{value!r}|".encode())
            continue
        total.update(f"{name}|{value.dtype}|{tuple(value.shape)}|".encode())
        flat = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
        total.update(flat.numpy().tobytes())
    return total.hexdigest()


def files_digest(folder: Path, names: Sequence[str]) -> str:
    """sha256 over the named files of ``folder``: their names and contents, in sorted order.

    Raises :class:`ModelError`, naming the file, where one is missing or cannot be read.
    """
    return digest({name: _digest_of(folder / name) for name in sorted(names)})


def _digest_of(path: Path) -> str:
    try:
        stat = path.stat()
        return _cached(str(path.resolve()), stat.st_size, stat.st_mtime_ns)
    except FileNotFoundError as e:
        raise ModelError("the file is missing", where=str(path), fix="Copy or download the folder again.") from e
    except OSError as e:
        raise ModelError(f"cannot be read: {e.strerror or e}", where=str(path)) from e


@functools.lru_cache(maxsize=4096)
def _cached(path: str, size: int, mtime_ns: int) -> str:
    """Weights are gigabytes and many cells ask; a file that was written to is hashed again."""
    return file_digest(Path(path))
