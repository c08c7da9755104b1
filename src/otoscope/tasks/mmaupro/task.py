"""Three tasks: ``mmau-pro/closed``, ``mmau-pro/instructions``, ``mmau-pro/open``. Scored by rules, or not at all.

Closed answers are read by rules (a letter, or the choice that is named), where the publication takes the choice whose
embedding is nearest to the reply, which always finds one; so figures differ, and an answer that names no choice is
wrong here. What cannot be scored (an instruction without a rule, an open answer without a judge) is *undefined*: it is
counted, and is no zero.
"""

from __future__ import annotations

import re
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from otoscope.audio import io
from otoscope.core.audio import Audio
from otoscope.core.errors import InputError, UsageError
from otoscope.core.identity import digest
from otoscope.core.items import Item
from otoscope.core.nouns import (
    Answered,
    Card,
    Decision,
    Embedded,
    Generate,
    Reply,
    Request,
    Row,
    Separated,
    TokenCounts,
)
from otoscope.results.scoring import Measure
from otoscope.tasks.answers import cost_measures, cost_rows
from otoscope.tasks.audiomarathon.inputs import NoSound
from otoscope.tasks.mmaupro.judge import checked, resolve_judge
from otoscope.tasks.mmaupro.layout import Kind, Question, read_questions
from otoscope.tasks.mmaupro.rules import follows

LETTERS = string.ascii_uppercase
#: No reply is read beyond.
READ = 4000
_NO_JUDGE = "not scored: an open answer needs a judge (judge=file:my_judge.py#grade, or a file of grades)"


@dataclass(frozen=True)
class Sounds:
    """The sounds of a question, in order."""

    question: Question

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"clip{i}" for i in range(len(self.question.paths)))

    def render(self, rate: int) -> dict[str, Audio]:
        if self.question.problem is not None:
            raise InputError(self.question.problem, where=self.question.id)
        return {n: io.read(p, rate=rate).mono() for n, p in zip(self.names, self.question.paths, strict=True)}

    def describe(self) -> Any:
        q = self.question
        return [[n, p.stat().st_size if p.is_file() else None] for n, p in zip(q.names, q.paths, strict=True)]


@dataclass(frozen=True)
class MmauProTask:
    """Parameters: ``data`` (a copy of the data set), ``category`` (only this one), ``judge`` (of open answers)."""

    version: ClassVar[int] = 1
    rounds: ClassVar[int] = 1
    keeps_outputs: ClassVar[bool] = False
    shard_items: ClassVar[int] = 8
    key: ClassVar[Kind] = "closed"
    parsers: ClassVar[tuple[str, ...]] = ("rules",)

    data: str | None = None
    category: str | None = None
    judge: str | None = None

    def __post_init__(self) -> None:
        if self.judge is not None and self.key != "open":
            raise UsageError("only open answers are judged", where=f"mmau-pro/{self.key}")

    @property
    def name(self) -> str:
        return f"mmau-pro/{self.key}"

    def questions(self) -> list[Question]:
        """Of this kind. Raises :class:`UsageError` where no data is named, :class:`InputError` where there are none."""
        if self.data is None:
            raise UsageError("needs a copy of the data set", where=self.name, fix="Name its folder with --data.")
        found = [q for q in read_questions(Path(self.data).expanduser()) if q.kind == self.key]
        if self.category is not None:
            found = [q for q in found if q.factors.get("category") == self.category]
        if not found:
            raise InputError(f"has no questions of the kind {self.key}", where=self.data)
        return found

    def identity(self) -> Mapping[str, Any]:
        listing = [[q.id, q.text, q.choices, q.answer, q.instruction, dict(q.settings), Sounds(q).describe()]
                   for q in self.questions()]  # fmt: skip
        judged = None if self.judge is None else resolve_judge(self.judge).identity
        return {"name": self.name, "version": self.version, "questions": digest(listing), "judge": judged}

    def accepts(self, card: Card) -> str | None:
        if card.capability != "audiolm":
            return f"needs an audio language model, and {card.name} is of the kind {card.capability!r}"
        return None

    def items(self, round: int = 0, rows: Any = None) -> Sequence[Item]:
        return [
            Item(q.id, q.id, " ".join(q.names), Sounds(q), {**q.factors, "clips": len(q.names)}, q.text, q)
            for q in self.questions()
        ]

    def request(self, item: Item, card: Card) -> Request:
        q: Question = item.target
        if q.problem is not None and not isinstance(item.inputs, NoSound):
            raise InputError(q.problem, where=q.id)
        text, most = q.text, 512
        if q.kind == "closed":
            lines = "\n".join(f"{LETTERS[i]}. {c}" for i, c in enumerate(q.choices))
            text, most = f"{q.text}\n{lines}\nAnswer with one letter.", 32
        return Generate(item.inputs.names, text, None, most, against_bare=True)

    def score(self, item: Item, output: Embedded | Decision | Separated | Answered) -> list[Row]:
        if not isinstance(output, Answered):
            raise InputError("these questions are put to audio language models", where=item.id)
        return [*self._scored(item.target, output.reply.text), *cost_rows(output)]

    def _scored(self, q: Question, text: str) -> list[Row]:
        if q.kind == "closed":
            chosen = read_choice(text, q.choices)
            status = "ok" if chosen is not None else "unparsed"
            return [
                Row("correct", float(chosen is not None and chosen == q.gold), raw=text, status=status),
                Row("unparsed", float(chosen is None), status=status),
            ]
        if q.kind == "instructions":
            found = follows(q.instruction, text, q.settings, q.spoken)
            why = f"not scored: there is no rule for {q.instruction!r}, or its settings are incomplete"
            return [_maybe("followed", None if found is None else float(found), text, why)]
        grade = None
        if self.judge is not None:
            grade = resolve_judge(self.judge).grade(q.id, q.text, q.answer, text)
            grade = None if grade is None else checked(grade, self.judge)
        return [
            _maybe("grade", grade, text, _NO_JUDGE if self.judge is None else "not scored: the judge gave no grade")
        ]

    def rescore(self, item: Item, reply: str) -> list[Row]:
        """The rows that depend on the words of a stored reply."""
        spoken = Reply(reply, (), TokenCounts(0, 0, 0))
        return [r for r in self.score(item, Answered(spoken)) if r.metric in self.rescored]

    @property
    def rescored(self) -> frozenset[str]:
        """Metrics that :meth:`rescore` gives."""
        return {"closed": frozenset({"correct", "unparsed"}), "instructions": frozenset({"followed"}),
                "open": frozenset({"grade"})}[self.key]  # fmt: skip

    def with_parser(self, name: str) -> MmauProTask:
        """``rules``: as it is. Of open answers any other name is a judge, for replies that are stored."""
        if name == "rules":
            return self
        if self.key != "open":
            raise UsageError(f"there is no parser {name!r}", where=self.name, fix="Use rules.")
        resolve_judge(name)
        return replace(self, judge=name)

    def fit_readout(self, items: Sequence[Item], outputs: Sequence[Any]) -> list[tuple[Item, list[Row]]]:
        raise InputError("these tasks learn nothing across items")

    def measures(self) -> Sequence[Measure]:
        """All together, then by category; ``n_undefined`` of a score counts what was not scored."""
        column, doc, unit = {
            "closed": ("correct", "share of right answers, read by rules", ""),
            "instructions": ("followed", "share of instructions that were followed, by rules", ""),
            "open": ("grade", "mean grade of the judge, 1 to 5", ""),
        }[self.key]
        by = "task_identifier" if self.key == "instructions" else "category"
        found = [Measure(n, b, (column,), unit=unit, higher_is_better=True, doc=doc)
                 for n, b in ((column, ()), (f"{column}_by_{by}", (by,)))]  # fmt: skip
        if self.key == "closed":
            found.append(Measure("unparsed", (), ("unparsed",), higher_is_better=False, doc="replies without a choice"))
        return [*found, *cost_measures()]


def _maybe(metric: str, value: float | None, raw: str, why: str) -> Row:
    if value is None:
        return Row(metric, None, raw=raw, status="undefined", note=why)
    return Row(metric, value, raw=raw)


def read_choice(reply: str, choices: Sequence[str]) -> int | None:
    """A letter alone or in front, the one letter that is set off as the answer, or the one choice that is named."""
    text, letters = reply.strip()[:READ], LETTERS[: len(choices)]
    for i, choice in enumerate(choices):
        if _plain(choice) == _plain(text):
            return i
    for pattern in (rf"^[(\[]?([{letters}])[)\].:]?$", rf"^[(\[]?([{letters}])[)\].:]\s",
                    rf"answer\s*(?:is|:)\s*[(\[\"']*([{letters}])\b"):  # fmt: skip
        said = {m.upper() for m in re.findall(pattern, text, re.I)}
        if len(said) == 1:
            return letters.index(said.pop())
    named = [i for i, c in enumerate(choices) if _plain(c) and f" {_plain(c)} " in f" {_plain(text)} "]
    longest = [
        i for i in named if not any(j != i and f" {_plain(choices[i])} " in f" {_plain(choices[j])} " for j in named)
    ]
    return longest[0] if len(longest) == 1 else None


def _plain(text: str) -> str:
    return " ".join(re.sub(r"[^\w]+", " ", text.casefold()).split())


class Closed(MmauProTask):
    key = "closed"


class Instructions(MmauProTask):
    key = "instructions"


class Open(MmauProTask):
    key = "open"
