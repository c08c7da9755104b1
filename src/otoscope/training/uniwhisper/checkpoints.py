"""Where a run can go on from: folders that appear whole, newest first, and are checked before they are trusted."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from otoscope.core.errors import StoreError
from otoscope.core.identity import file_digest
from otoscope.results.files import store_errors

_STATE, _ABOUT = "state.pt", "about.json"


def save(folder: Path, step: int, state: Mapping[str, Any], keep: int) -> Path:
    """Write ``state`` (tensors and plain values) as the checkpoint of ``step``; older ones beyond ``keep`` go."""
    target, part = folder / f"step-{step:08d}", folder / f".step-{step:08d}.part"
    with store_errors(folder):
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        torch.save(dict(state), part / _STATE)
        about = {"step": step, "sha256": file_digest(part / _STATE)}
        (part / _ABOUT).write_text(json.dumps(about), encoding="utf-8")
        shutil.rmtree(target, ignore_errors=True)
        part.rename(target)
        for old in _all(folder)[max(1, keep) :]:
            shutil.rmtree(old)
    return target


def newest(folder: Path, device: torch.device) -> dict[str, Any] | None:
    """The newest checkpoint that is whole; damaged ones are passed over with a warning. None without any. Raises
    :class:`StoreError` where there are checkpoints and all are damaged."""
    found = _all(folder)
    for path in found:
        try:
            about = json.loads((path / _ABOUT).read_text(encoding="utf-8"))
            if file_digest(path / _STATE) != about["sha256"]:
                raise ValueError("its content is not what was written")
            return dict(torch.load(path / _STATE, weights_only=True, map_location=device))
        except (OSError, ValueError, KeyError, RuntimeError) as e:
            warnings.warn(f"checkpoint {path} is damaged ({e}); the one before is tried", stacklevel=2)
    if found:
        raise StoreError(
            f"all {len(found)} checkpoints are damaged", where=str(folder), fix="Move them away to begin anew."
        )
    return None


def _all(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-????????"), reverse=True) if folder.is_dir() else []
