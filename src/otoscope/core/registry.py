"""A registry that imports nothing until a name is asked for.

Built-in entries are ``"module:attribute"`` strings; other packages add theirs through an entry-point group
(``otoscope.models``, ``otoscope.tasks``, ...). ``file:path.py#Object`` names an object in a local file: saying so
is the explicit act that runs it.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from otoscope.core.errors import UsageError


@dataclass(frozen=True)
class Entry:
    """One name. ``target`` is ``"module:attribute"``, an :class:`EntryPoint`, or the object itself."""

    name: str
    target: Any
    summary: str = ""
    kind: str = ""

    def load(self) -> Any:
        if isinstance(self.target, EntryPoint):
            try:
                return self.target.load()
            except Exception as e:
                raise UsageError(f"plug-in {self.name!r} ({self.target.value}) cannot be imported: {e}") from e
        if isinstance(self.target, str):
            module, _, attribute = self.target.partition(":")
            return getattr(importlib.import_module(module), attribute)
        return self.target


class Registry:
    """Names of one noun (``noun="model"``). Iterates sorted names; :meth:`get` loads."""

    def __init__(self, noun: str, group: str) -> None:
        self.noun, self.group = noun, group
        self._entries: dict[str, Entry] = {}
        self._plugins: dict[str, Entry] | None = None

    def add(self, name: str, target: Any, summary: str = "", kind: str = "") -> None:
        """Register; a name can be taken once."""
        if name in self._entries:
            raise ValueError(f"{self.noun} {name!r} is already registered")
        self._entries[name] = Entry(name, target, summary, kind)

    def _all(self) -> dict[str, Entry]:
        if self._plugins is None:
            found: dict[str, Entry] = {}
            for ep in sorted(entry_points(group=self.group), key=lambda e: (e.name, e.value)):
                if ep.name in self._entries or ep.name in found:
                    other = self._entries.get(ep.name) or found[ep.name]
                    raise UsageError(
                        f"two packages define the {self.noun} {ep.name!r}: {ep.value} and {other.target}",
                        fix="Uninstall one of them or rename its entry point.",
                    )
                found[ep.name] = Entry(ep.name, ep, f"plug-in {ep.value}")
            self._plugins = found
        return {**self._entries, **self._plugins}

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._all()))

    def __contains__(self, name: str) -> bool:
        return name in self._all()

    def entry(self, name: str) -> Entry:
        """The entry, unloaded. Raises :class:`UsageError` with near names."""
        entries = self._all()
        if name in entries:
            return entries[name]
        near = suggestions(name, list(entries))
        raise UsageError(
            f"there is no {self.noun} {name!r}",
            fix=(f"Did you mean {' or '.join(near)}?" if near else f"See: otoscope ls {self.noun}s"),
        )

    def get(self, name: str) -> Any:
        """Load the object behind ``name``, or behind ``file:path.py#Object``."""
        if name.startswith("file:"):
            return load_from_file(name)
        return self.entry(name).load()


def suggestions(name: str, known: list[str], n: int = 3) -> list[str]:
    """Near names: by edit distance, then by containment."""
    near = difflib.get_close_matches(name, known, n=n, cutoff=0.6)
    near += [k for k in sorted(known) if name and (name in k or k in name) and k not in near]
    return near[:n]


def load_from_file(name: str) -> Any:
    """``file:path.py#Object`` -> the object. Errors name the file and list what it defines."""
    path_text, _, attribute = name.removeprefix("file:").partition("#")
    path = Path(path_text).expanduser()
    if not path.is_file():
        raise UsageError("no such file", where=str(path), fix="Write file:path/to/module.py#Object.")
    if not attribute:
        raise UsageError("which object of the file is meant?", where=str(path), fix=f"Write file:{path_text}#Object.")
    module = import_path(path.resolve())
    if not hasattr(module, attribute):
        public = [k for k, v in vars(module).items() if not k.startswith("_") and not isinstance(v, ModuleType)]
        near = suggestions(attribute, public) or public[:6]
        raise UsageError(f"defines no {attribute!r}", where=str(path), fix=f"It has: {', '.join(near) or 'nothing'}.")
    return getattr(module, attribute)


def import_path(path: Path) -> ModuleType:
    """Run the file as a module, once in a process. Raises :class:`UsageError` with what it raised."""
    name = "otoscope_file_" + hashlib.sha256(str(path).encode()).hexdigest()[:12]
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UsageError("is not a Python module", where=str(path))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as e:
        del sys.modules[name]
        raise UsageError(f"cannot be imported: {type(e).__name__}: {e}", where=str(path)) from e
    return module
