"""Names that carry parameters: ``hubert-large:layer=12,pool=mean,channels=left``.

One grammar serves models, tasks, conditions and interventions::

    NAME[:key=value[,key=value...]]

NAME may be a registered name, a hub id (``org/model``), a folder, or ``file:path.py#Object``. Values are read as
``true``/``false``, ``none``, numbers, else text; a comma belongs to the value unless ``key=`` follows it. In a composed
name, ``a:x=1+b:y=2,z=3``, all that follows the plus sign is part of the last value before it: only who knows the names
can take it apart.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from otoscope.core.errors import UsageError

Scalar = str | int | float | bool | None

_PARAMS = re.compile(r":(?=[A-Za-z_]\w*=)")
_COMMA = re.compile(r",(?=[A-Za-z_]\w*=)")
#: Another name with parameters, behind a plus sign; anything that could be a name there.
_NEXT = re.compile(r"\+[^+,=]+:(?=[A-Za-z_]\w*=)")
_MAYBE = re.compile(r"\+[A-Za-z]")


@dataclass(frozen=True)
class Spec:
    """A parsed name. ``str(spec)`` is canonical: parameters sorted, so equal specs print alike. A value that may hold
    another name comes last, where it has to stand."""

    name: str
    params: Mapping[str, Scalar] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "params", MappingProxyType(dict(sorted(self.params.items(), key=_place))))

    def __str__(self) -> str:
        if not self.params:
            return self.name
        return self.name + ":" + ",".join(f"{k}={format_scalar(v)}" for k, v in self.params.items())

    def __hash__(self) -> int:
        return hash(str(self))

    def __reduce__(self) -> tuple[object, ...]:
        return parse_spec, (str(self),)

    def with_params(self, **params: Scalar) -> Spec:
        return Spec(self.name, {**self.params, **params})

    def without(self, *keys: str) -> Spec:
        return Spec(self.name, {k: v for k, v in self.params.items() if k not in keys})


def parse_spec(text: str) -> Spec:
    """Parse ``text``; raises :class:`UsageError` on an empty name or a repeated or malformed parameter."""
    text = text.strip()
    parts = _PARAMS.split(text, maxsplit=1)
    name = parts[0]
    if not name:
        raise UsageError(f"a name is missing in {text!r}", fix="Write NAME or NAME:key=value,key=value.")
    params: dict[str, Scalar] = {}
    if len(parts) == 2:
        pieces = _COMMA.split(parts[1])
        while pieces:
            key, _, value = pieces.pop(0).partition("=")
            if key in params:
                raise UsageError(f"parameter {key!r} is given twice in {text!r}")
            if _NEXT.search(value):
                value, pieces = ",".join([value, *pieces]), []
            params[key] = parse_scalar(value)
    elif name.endswith(":"):
        raise UsageError(f"no parameters follow the colon in {text!r}", fix="Write NAME:key=value.")
    return Spec(name, params)


def _place(item: tuple[str, Scalar]) -> tuple[bool, str]:
    key, value = item
    return isinstance(value, str) and _MAYBE.search(value) is not None, key


def parse_scalar(text: str) -> Scalar:
    """``true``, ``none``, ``3``, ``0.5``, else the text itself. NaN and infinities stay text."""
    low = text.lower()
    if low in ("true", "false"):
        return low == "true"
    if low in ("none", "null"):
        return None
    for kind in (int, float):
        try:
            value = kind(text)
        except ValueError:
            continue
        if math.isfinite(value):
            return value
    return text


def format_scalar(value: Scalar) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "none"
    return repr(value) if isinstance(value, float) else str(value)
