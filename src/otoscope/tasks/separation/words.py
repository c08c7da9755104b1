"""What targets are called in text prompts: a table that can be replaced."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from otoscope.core.errors import InputError

_SEXES = ("female", "male", "any")


@dataclass(frozen=True)
class Words:
    """``speech`` has ``female``, ``male`` and ``any``; ``sounds`` maps classes to words."""

    speech: Mapping[str, str]
    sounds: Mapping[str, str]

    def voice(self, sex: str | None) -> str:
        return self.speech[sex or "any"]

    def sound(self, label: str) -> str:
        """The words of a class; without an entry its own name in small letters, spaces for underscores."""
        return self.sounds.get(label) or label.replace("_", " ").lower()


def read_words(path: str | None = None) -> Words:
    """The package's table, or the TOML file ``path`` of the same form. Raises :class:`InputError`."""
    where = path or str(files("otoscope.tasks.separation") / "words.toml")
    try:
        data = tomllib.loads(Path(where).expanduser().read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as e:
        raise InputError(f"cannot be read: {e}", where=where) from e
    tables = [data.get(name, {}) for name in ("speech", "sounds")]
    for table in tables:
        if not isinstance(table, dict) or not all(isinstance(v, str) and v for v in table.values()):
            raise InputError("[speech] and [sounds] map names to words", where=where)
    if missing := [s for s in _SEXES if s not in tables[0]]:
        raise InputError(f"[speech] lacks {missing[0]!r}", where=where, fix=f"It needs {', '.join(_SEXES)}.")
    return Words(*tables)
