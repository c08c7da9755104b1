"""Grades of open answers. A judge maps (question, reference, reply) to a grade from 1 to 5, or to None.

The publication has a language model of 7 billion weights grade open answers; none comes with the package. A judge is
named ``file:my_judge.py#grade``, or a file of grades that were made elsewhere: a JSON object a line with the item's
``id``, the ``reply`` that was graded, and ``grade``. A grade of another reply than the run's is no grade of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from otoscope.core.errors import InputError, UsageError
from otoscope.core.identity import digest, file_digest
from otoscope.core.registry import load_from_file


class Judge(Protocol):
    """``identity`` is JSON that changes with the judge."""

    @property
    def identity(self) -> Any: ...

    def grade(self, item: str, question: str, reference: str, reply: str) -> float | None: ...


@dataclass(frozen=True)
class Grades:
    """Grades from a file."""

    grades: dict[tuple[str, str], float]
    identity: Any

    def grade(self, item: str, question: str, reference: str, reply: str) -> float | None:
        return self.grades.get((item, digest(reply)))


@dataclass(frozen=True)
class Called:
    """A function of a user's file."""

    function: Callable[[str, str, str], float | None]
    identity: Any

    def grade(self, item: str, question: str, reference: str, reply: str) -> float | None:
        return self.function(question, reference, reply)


def resolve_judge(name: str) -> Judge:
    """``file:my_judge.py#grade`` or a file of grades. Raises :class:`UsageError` and :class:`InputError`."""
    if name.startswith("file:"):
        function = load_from_file(name)
        if not callable(function):
            raise UsageError("is no function", where=name)
        path = Path(name.removeprefix("file:").partition("#")[0]).expanduser()
        return Called(function, {"judge": name.partition("#")[2], "file": file_digest(path)})
    path = Path(name).expanduser()
    if not path.is_file():
        raise UsageError(
            "no such file of grades", where=name, fix="Write file:my_judge.py#grade, or name a JSONL file."
        )
    found: dict[tuple[str, str], float] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        where = f"{path}, line {number}"
        try:
            row = json.loads(line)
            key = (str(row["id"]), digest(str(row["reply"])))
            found[key] = checked(row["grade"], where)
        except (ValueError, KeyError, TypeError) as e:
            raise InputError(f"needs id, reply and grade: {e}", where=where) from e
    return Grades(found, {"grades": file_digest(path)})


def checked(grade: Any, where: str) -> float:
    """A grade from 1 to 5. Raises :class:`InputError`."""
    if isinstance(grade, bool) or not isinstance(grade, int | float) or not 1 <= grade <= 5:
        raise InputError(f"{grade!r} is no grade from 1 to 5", where=where)
    return float(grade)
