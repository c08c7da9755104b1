"""Named subsets of the data set.

``full`` is everything. ``official-qwen`` follows the selection of the published Qwen runs as the fact sheet gives it
(5,774 items): real and fake speech, and the sexes, drawn down to the rarer class with Python's generator seeded 42;
``happy`` of two persons left out; missing files left out. The published order of files was that of a directory, so
which of the faked recordings are drawn differs from the publication. ``balanced`` (ours): every class as often.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from otoscope.core.errors import UsageError
from otoscope.core.identity import digest
from otoscope.tasks.audiomarathon.layout import Entry

SUBSETS = ("full", "official-qwen", "balanced")
#: Persons whose ``happy`` the published analysis leaves out.
_UNHAPPY = ("2", "10")


def subset(entries: Sequence[Entry], name: str) -> tuple[Entry, ...]:
    """The entries of a subset, in the order of their ids. Raises :class:`UsageError` on an unknown name."""
    if name == "full":
        return tuple(entries)
    if name == "balanced":
        return tuple(sorted(_balanced(entries), key=lambda e: e.id))
    if name == "official-qwen":
        return tuple(sorted(_official(entries), key=lambda e: e.id))
    raise UsageError(f"there is no subset {name!r}", fix=f"Use {', '.join(SUBSETS)}.")


#: One group in so many is for calibration, and no more than so many items a task.
_EVERY, _MOST = 5, 24


def part_of(entries: Sequence[Entry], part: str) -> tuple[Entry, ...]:
    """``all``; ``calibration``: entries of a fifth of the groups, at most :data:`_MOST`; ``test``: those of the others.
    Which group is where depends on its name alone."""
    if part == "all":
        return tuple(entries)
    chosen = lambda e: int(digest(["calibration", e.group])[:8], 16) % _EVERY == 0  # noqa: E731
    if part == "test":
        return tuple(e for e in entries if not chosen(e))
    return tuple([e for e in sorted(entries, key=lambda e: digest(e.id)) if chosen(e)][:_MOST])


def _official(entries: Sequence[Entry]) -> list[Entry]:
    there = [e for e in entries if e.problem is None]
    task = entries[0].task if entries else ""
    if task in ("sd", "sgr"):
        chosen: list[Entry] = []
        groups = _by_class(there)
        least = min(map(len, groups.values()))
        draw = random.Random(42)
        for label in sorted(groups):
            chosen += groups[label] if len(groups[label]) == least else draw.sample(groups[label], least)
        return chosen
    if task == "er":
        return [e for e in there if not (_class(e) == "happy" and e.factors.get("person") in _UNHAPPY)]
    return there


def _balanced(entries: Sequence[Entry]) -> list[Entry]:
    groups = _by_class(entries)
    least = min(map(len, groups.values()), default=0)
    return [e for group in groups.values() for e in sorted(group, key=lambda e: digest(e.id))[:least]]


def _by_class(entries: Sequence[Entry]) -> dict[str, list[Entry]]:
    found: dict[str, list[Entry]] = {}
    for entry in entries:
        found.setdefault(_class(entry), []).append(entry)
    return found


def _class(entry: Entry) -> str:
    """The class, or the letter where there are none."""
    right = "" if entry.gold is None else entry.options[entry.gold]
    return (entry.label or right).casefold()
