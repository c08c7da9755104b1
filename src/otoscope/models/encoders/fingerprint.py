"""What identifies a user's class and object: the code and everything the object holds.

The whole source file of the class is hashed; modules that it imports are not, so say ``version`` in the class when a
helper elsewhere changes. A class typed into a session has no file: then the compiled code of its methods is hashed.
"""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import sys
from collections.abc import Mapping
from pathlib import Path
from types import CodeType
from typing import Any

import numpy as np

from otoscope.core.errors import ModelError
from otoscope.core.identity import digest, file_digest, jsonable
from otoscope.models.weights import state_digest

_FIX = "Give its class an identity() method that returns plain JSON over everything that can change a number."


def code_digest(kind: type, source: Path | None = None) -> str:
    """sha256 of the source file of ``kind`` (or of ``source``), or of its compiled methods. Classes of this package go
    by their ``version``, which says when a number changes."""
    version = getattr(kind, "version", None)
    if kind.__module__.partition(".")[0] == "otoscope" and isinstance(version, int):
        return f"{kind.__module__}.{kind.__qualname__} {version}"
    path = source
    if path is None:
        try:
            found = inspect.getsourcefile(kind)
        except TypeError:  # built-in, or typed into a session
            found = None
        path = Path(found) if found else None
    if path is not None and path.is_file():
        return file_digest(path)
    h = hashlib.sha256(kind.__qualname__.encode())
    for name, member in sorted(vars(kind).items()):
        code = getattr(member, "__code__", None)
        if isinstance(code, CodeType):
            h.update(name.encode() + _code_bytes(code))
    return h.hexdigest()


def _code_bytes(code: CodeType) -> bytes:
    constants = b"".join(_code_bytes(c) if isinstance(c, CodeType) else repr(c).encode() for c in code.co_consts)
    return code.co_code + constants + repr((code.co_names, code.co_varnames)).encode()


def object_digest(obj: Any, where: str) -> Any:
    """JSON over what ``obj`` holds: its own ``identity()``, else its fields. Raises :class:`ModelError` on a field
    that has no known content (an open session, a lambda)."""
    own = getattr(obj, "identity", None)
    if callable(own):
        try:
            return jsonable(own())
        except (TypeError, ValueError) as e:
            raise ModelError(f"its identity() is not plain JSON: {e}", where=where) from e
    if dataclasses.is_dataclass(obj):
        fields = {f.name: getattr(obj, f.name) for f in dataclasses.fields(obj)}
    else:
        fields = dict(getattr(obj, "__dict__", {}))
    constants = {
        k: v for k, v in _class_attributes(type(obj)).items() if not callable(v) and not isinstance(v, _DESCRIPTORS)
    }
    return {k: _content(v, f"{where}.{k}") for k, v in {**constants, **fields}.items()}


_DESCRIPTORS = (property, classmethod, staticmethod)


def _class_attributes(kind: type) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for base in reversed(kind.__mro__[:-1]):
        found.update({k: v for k, v in vars(base).items() if not k.startswith("_")})
    return found


def _content(value: Any, where: str) -> Any:
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.nn.Module):
        return {"state": state_digest(value.state_dict()), "module": type(value).__qualname__}
    if torch is not None and isinstance(value, torch.Tensor):
        return {"tensor": state_digest({"": value})}
    if isinstance(value, np.ndarray):
        if value.dtype == object:
            raise ModelError("an array of objects has no known content", where=where, fix=_FIX)
        return {"array": digest(value), "dtype": str(value.dtype)}
    if isinstance(value, Mapping):
        return {str(k): _content(v, f"{where}[{k}]") for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_content(v, f"{where}[{i}]") for i, v in enumerate(value)]
    try:
        return jsonable(value)
    except (TypeError, ValueError) as e:
        raise ModelError(f"cannot tell what a {type(value).__name__} holds", where=where, fix=_FIX) from e
