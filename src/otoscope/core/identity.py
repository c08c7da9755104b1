"""Identity: what makes two computations the same one.

An identity is the sha256 of canonical JSON over *all resolved fields* of the thing and its class ``version``. A field
that is added later is left out only while it holds its documented neutral value, so old results stay valid; nothing
else is ever left out here. Execution settings (batch size, device, workers) never reach these functions.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import Any

import numpy as np

#: Metadata key of a dataclass field that was added later: ``field(default=x, metadata={NEUTRAL: x})``.
NEUTRAL = "otoscope_neutral"


def jsonable(value: Any) -> Any:
    """``value`` as plain JSON types. Dataclasses become mappings with their class name; non-finite numbers are refused,
    because canonical JSON has no word for them."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, np.generic):
        return jsonable(value.item())
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"identity fields must be finite, got {value!r}")
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return describe(value)
    if isinstance(value, Mapping):
        return {str(k): jsonable(v) for k, v in value.items()}
    if isinstance(value, Set):
        return sorted(jsonable(v) for v in value)
    if isinstance(value, Sequence):
        return [jsonable(v) for v in value]
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, np.ndarray):
        return {"array": hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest(), "shape": list(value.shape)}
    raise TypeError(f"{type(value).__name__} has no place in an identity")


def describe(obj: Any) -> dict[str, Any]:
    """A dataclass as JSON: class name, ``version`` and every field, less later fields at their neutral value."""
    out: dict[str, Any] = {"class": type(obj).__name__, "version": int(getattr(type(obj), "version", 1))}
    for f in dataclasses.fields(obj):
        value = getattr(obj, f.name)
        if NEUTRAL in f.metadata and value == f.metadata[NEUTRAL]:
            continue
        out[f.name] = jsonable(value)
    return out


def canonical(value: Any) -> str:
    """One text per value: sorted keys, no spaces, shortest round-trip numbers."""
    return json.dumps(jsonable(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(value: Any, length: int = 64) -> str:
    """sha256 (hex, first ``length`` characters) of :func:`canonical`."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:length]


def file_digest(path: Path) -> str:
    """sha256 of a file's bytes."""
    with path.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()
