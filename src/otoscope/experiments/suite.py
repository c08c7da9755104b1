"""A suite: several experiments one after the other, each in a directory of its own, and one page about all.

A file holds a ``title`` and ``[[parts]]``: the ``name`` of a part is its folder, ``experiment`` a named experiment or a
TOML file beside the suite, ``preset`` one of its presets, and ``data = true`` lets ``--data`` through to it. The parts
know nothing of each other; a part of a suite is the same run as the experiment by itself.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from otoscope.core.errors import InputError, StoreError, UsageError
from otoscope.core.registry import suggestions
from otoscope.experiments.experiment import Experiment, load_experiment, named_experiments
from otoscope.results.files import store_errors, write_durably

_FILE_KEYS, _PART_KEYS = {"title", "about", "parts"}, {"name", "experiment", "preset", "data"}
#: Says which folders of a suite's directory are its runs, in their order.
RECORD = "suite.json"


@dataclass(frozen=True)
class Part:
    """One experiment of a suite. ``data``: whether the user's own audio can take the place of the package's."""

    name: str
    experiment: str
    preset: str | None = None
    data: bool = False

    def load(self, *, data: str | None = None, limit: int | None = None, seed: int | None = None) -> Experiment:
        """The experiment, with the command line's choices put in."""
        found = load_experiment(self.experiment, self.preset)
        return found.override(data=data if self.data else None, limit=limit, seed=seed)


@dataclass(frozen=True)
class Suite:
    name: str
    title: str
    parts: Sequence[Part]
    about: str = ""

    def select(self, names: Sequence[str]) -> Sequence[Part]:
        """The parts of these names, in the suite's order; all without names. Raises :class:`UsageError`."""
        known = [p.name for p in self.parts]
        for name in names:
            if name not in known:
                raise UsageError(f"{self.name} has no part {name!r}", fix=f"It has: {', '.join(known)}.")
        return [p for p in self.parts if not names or p.name in names]


def named_suites() -> dict[str, Path]:
    """The suites that come with the package, by name."""
    folder = Path(str(files("otoscope.experiments") / "suites"))
    return {p.stem: p for p in sorted(folder.glob("*.toml"))}


def find_suite(name: str) -> Suite | None:
    """The suite of a name or a TOML file; None where the name is an experiment's, or nothing's."""
    path = named_suites().get(name)
    if path is None:
        own = Path(name)
        if name in named_experiments() or own.suffix != ".toml" or not own.is_file():
            return None
        path = own
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
        raise InputError(f"is not valid TOML: {e}", where=str(path)) from e
    return parse_suite(table, name=path.stem, where=path) if "parts" in table else None


def parse_suite(table: Mapping[str, Any], *, name: str, where: Path) -> Suite:
    """The parsed TOML; unknown keys, names that are no folders, and two parts of one name are errors."""
    _known(table, _FILE_KEYS, str(where))
    parts = []
    for entry in table["parts"]:
        _known(entry, _PART_KEYS, f"{where} [[parts]]")
        missing = {"name", "experiment"} - set(entry)
        if missing:
            raise InputError(f"a part lacks {' and '.join(sorted(missing))}", where=str(where))
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", entry["name"]):
            raise InputError(f"{entry['name']!r} is no name for a part", where=str(where), fix="Use a-z, 0-9 and -.")
        beside = where.parent / entry["experiment"]
        experiment = str(beside) if beside.suffix == ".toml" and beside.is_file() else entry["experiment"]
        parts.append(Part(entry["name"], experiment, entry.get("preset"), bool(entry.get("data", False))))
    twice = {p.name for p in parts if sum(q.name == p.name for q in parts) > 1}
    if twice:
        raise InputError(f"two parts are called {sorted(twice)[0]!r}", where=str(where))
    if not parts:
        raise InputError("has no parts", where=str(where))
    return Suite(name, str(table.get("title", name)), tuple(parts), str(table.get("about", "")))


def record(suite: Suite, directory: Path) -> None:
    """Write which folders of ``directory`` are the suite's runs."""
    with store_errors(directory):
        directory.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"title": suite.title, "runs": [p.name for p in suite.parts]}, indent=1)
    write_durably(directory / RECORD, text.encode(), "suite")


def runs_of(directory: Path) -> tuple[str, list[Path]] | None:
    """Title and run directories of a suite's directory, those that are there; None where it is none."""
    file = directory / RECORD
    if not file.is_file():
        return None
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as e:
        raise StoreError(f"is not valid JSON: {e}", where=str(file), fix="Run the suite again.") from e
    runs = [directory / str(name) for name in found.get("runs", ())]
    there = [r for r in runs if r.is_dir()]
    if not there:
        raise StoreError("no part of the suite has been run", where=str(directory))
    return str(found.get("title", directory.name)), there


def _known(table: Mapping[str, Any], allowed: set[str], where: str) -> None:
    for key in table:
        if key not in allowed:
            near = suggestions(key, sorted(allowed)) or sorted(allowed)
            raise InputError(f"unknown key {key!r}", where=where, fix=f"Known: {', '.join(near)}.")
