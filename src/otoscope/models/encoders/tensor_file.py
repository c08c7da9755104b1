"""The tensors in a checkpoint's weight file, read without running anything that the file brings."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from otoscope.core.errors import ModelError

if TYPE_CHECKING:
    from torch import Tensor

#: Where a training checkpoint keeps its tensors.
_ENTRIES = ("state_dict", "model")


def read_tensors(path: Path, classes: Sequence[type] = ()) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a safetensors or PyTorch file by name, and its metadata. Of a training checkpoint the entry
    ``state_dict`` (or ``model``) is taken. ``classes`` may be unpickled besides tensors and plain values. Tensors stay
    in the file, mapped, until they are used.

    Raises :class:`ModelError` on a file that is missing, damaged, of another kind, or holds no tensors.
    """
    if not path.is_file():
        raise ModelError("no such file", where=str(path), fix="Name the checkpoint's weight file.")
    return _read_safetensors(path) if path.suffix == ".safetensors" else (_read_torch(path, classes), {})


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except (SafetensorError, OSError) as e:
        raise ModelError(f"cannot be read: {e}", where=str(path), fix="Download it again.") from e


def _read_torch(path: Path, classes: Sequence[type]) -> dict[str, Tensor]:
    import torch

    try:
        with torch.serialization.safe_globals(list(classes)):
            mapped = zipfile.is_zipfile(path)  # files of old PyTorch versions cannot be
            found: Any = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except pickle.UnpicklingError as e:
        raise ModelError(
            "cannot be read: it is damaged, or holds Python objects besides tensors, which are not unpickled",
            where=str(path),
            fix="Download it again, or save its state_dict alone, on a machine where you trust the file.",
        ) from e
    except Exception as e:  # zip, pickle and torch each raise their own
        text = " ".join(str(e).split())[:200]
        raise ModelError(
            f"cannot be read: {type(e).__name__}: {text}", where=str(path), fix="Use a safetensors or PyTorch file."
        ) from e
    if isinstance(found, dict):
        found = next((found[key] for key in _ENTRIES if isinstance(found.get(key), dict)), found)
    if not isinstance(found, dict) or not found:
        raise ModelError("is no state dict: it holds no tensors by name", where=str(path))
    if strangers := [str(k) for k, v in found.items() if not isinstance(v, torch.Tensor)]:
        raise ModelError(f"is no state dict: {some(strangers)}, no tensor", where=str(path))
    return dict(found)


def some(names: Sequence[str]) -> str:
    """The first three, and how many more."""
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
