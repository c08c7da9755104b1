"""Python code that somebody wrote for another suite, by file or by module, run only where that was allowed."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from otoscope.core.errors import ModelError, UsageError
from otoscope.core.naming import Scalar, Spec
from otoscope.core.nouns import Encoder
from otoscope.core.registry import import_path

#: Prefix of a name -> the suite.
SUITES = {"xares:": "X-ARES", "hear:": "HEAR"}


@dataclass(frozen=True)
class Foreign:
    """A name taken apart: ``xares:my_encoder.py#MyEncoder`` or ``hear:package.module``. ``attribute`` may be empty."""

    name: str
    place: str
    attribute: str

    def load(self) -> tuple[ModuleType, Path | None]:
        """The module, run, and its file. Raises :class:`UsageError` where it can't be found or imported."""
        if self.place.endswith(".py") or "/" in self.place or "\\" in self.place:
            path = Path(self.place).expanduser()
            if not path.is_file():
                fix = "Write the path of a .py file, or a module's dotted name."
                raise UsageError("no such file", where=str(path), fix=fix)
            return import_path(path.resolve()), path
        try:
            module = importlib.import_module(self.place)
        except Exception as e:  # a module's own errors too
            fix = "Is it installed here? A file is named by its path, which ends in .py."
            raise UsageError(f"cannot be imported: {type(e).__name__}: {e}", where=self.place, fix=fix) from e
        return module, Path(module.__file__) if module.__file__ else None


def foreign_encoder(spec: Spec, params: Mapping[str, Scalar], *, trust: bool, device: str) -> Encoder:
    """The encoder behind ``xares:...`` or ``hear:...``. ``params`` go to the class, or to ``load_model``;
    ``init=random`` and its ``seed`` draw the weights anew.

    Raises :class:`UsageError` where running the code was not allowed, before anything of it is run, and
    :class:`ModelError` where it does not keep its suite's contract.
    """
    from otoscope.models.encoders.suites.hear import hear_encoder
    from otoscope.models.encoders.suites.xares import xares_encoder

    prefix = next(p for p in SUITES if spec.name.startswith(p))
    place, _, attribute = spec.name.removeprefix(prefix).partition("#")
    if not place:
        raise UsageError("names no file or module", where=spec.name, fix=f"Write {prefix}my_encoder.py.")
    if not trust:
        what = f"is Python code that was written for {SUITES[prefix]}; it could do anything, and nothing of it was run"
        fix = "Read it; then allow it with --trust-remote-code (in Python: trust_remote_code=True)."
        raise UsageError(what, where=place, fix=fix)
    found = Foreign(spec.name, place, attribute)
    make = {"xares:": xares_encoder, "hear:": hear_encoder}[prefix]
    drawn = {k: params[k] for k in ("init", "seed") if k in params and "init" in params}
    return make(found, {k: v for k, v in params.items() if k not in drawn}, device=device, **drawn)


def number(made: Any, attribute: str, where: str, *, whole: bool = True) -> float:
    """A positive number that an encoder must say. Raises :class:`ModelError`."""
    value = getattr(made, attribute, None)
    fits = isinstance(value, int) if whole else isinstance(value, int | float)
    if not fits or isinstance(value, bool) or value is None or value <= 0:
        got = f"has no {attribute}" if value is None else f"has {attribute} = {value!r}"
        raise ModelError(f"{got}; a positive {'whole ' if whole else ''}number is needed", where=where)
    return float(value)
