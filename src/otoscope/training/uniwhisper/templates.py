"""How a task is put into words: a bank of instructions per task, one of which is drawn at load time by (epoch, key)."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from otoscope.audio.binaural import child
from otoscope.core.errors import InputError
from otoscope.core.registry import suggestions
from otoscope.training.uniwhisper.records import Record

#: Labels of one answer are joined by this.
SEPARATOR = ", "


@dataclass(frozen=True)
class Bank:
    """``texts`` by task. ``labels`` by task fills ``{labels}``; a text that needs them is not drawn without."""

    texts: Mapping[str, Sequence[str]]
    labels: Mapping[str, Sequence[str]]

    @staticmethod
    def read(path: str | os.PathLike[str] | None = None) -> Bank:
        """The package's bank, or another file of its form. Raises :class:`InputError`, naming file and task."""
        where = str(path) if path is not None else "templates.toml"
        try:
            raw = (
                Path(path).read_bytes() if path is not None
                else (files("otoscope.training.uniwhisper") / "templates.toml").read_bytes()
            )  # fmt: skip
            found = tomllib.loads(raw.decode("utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as e:
            raise InputError(f"is no bank of instructions: {e}", where=where) from e
        texts: dict[str, tuple[str, ...]] = {}
        labels: dict[str, tuple[str, ...]] = {}
        for task, table in found.items():
            said = table.get("texts") if isinstance(table, dict) else None
            if not isinstance(said, list) or not said or not all(isinstance(t, str) and t.strip() for t in said):
                raise InputError(f"[{task}] has no list of texts", where=where)
            texts[task] = tuple(said)
            labels[task] = tuple(table.get("labels", ()))
        return Bank(texts, labels)

    def with_labels(self, records: Sequence[Record], most: int = 30) -> Bank:
        """The bank with the labels of ``records``, of tasks that have at most so many."""
        known: dict[str, set[str]] = {}
        for r in records:
            known.setdefault(r.task, set()).update([r.answer] if isinstance(r.answer, str) else r.answer)
        return Bank(self.texts, {t: tuple(sorted(v)) if len(v) <= most else () for t, v in known.items()} | {
            t: v for t, v in self.labels.items() if v
        })  # fmt: skip

    def instruction(self, record: Record, seed: int, epoch: int) -> str:
        """What is asked about ``record`` in ``epoch``."""
        if record.instruction is not None:
            return record.instruction
        if record.task not in self.texts:
            near = suggestions(record.task, list(self.texts)) or sorted(self.texts)
            fix = f"Known tasks: {', '.join(near)}; or give the record an instruction."
            raise InputError(f"there is no instruction for the task {record.task!r}", where=record.key, fix=fix)
        labels = list(self.labels.get(record.task, ()))
        fitting = [t for t in self.texts[record.task] if labels or "{labels}" not in t]
        rng = child(seed, "instruction", epoch, record.key)
        text = fitting[int(rng.integers(len(fitting)))]
        return text.replace("{labels}", SEPARATOR.join(str(x) for x in rng.permutation(labels)))

    def answer(self, record: Record, seed: int, epoch: int) -> str:
        """What is to be answered; several labels come in another order every epoch."""
        if isinstance(record.answer, str):
            return record.answer
        rng = child(seed, "answer", epoch, record.key)
        return SEPARATOR.join(str(x) for x in rng.permutation(list(record.answer)))
