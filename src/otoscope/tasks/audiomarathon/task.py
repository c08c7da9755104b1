"""The ten tasks, one class. Parameters are the same for all; see :class:`AudioMarathonTask`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

from otoscope.core.errors import InputError, UsageError
from otoscope.core.identity import NEUTRAL, digest
from otoscope.core.items import Factor, Item
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
from otoscope.tasks.audiomarathon import parsers
from otoscope.tasks.audiomarathon.hub import folder_of
from otoscope.tasks.audiomarathon.inputs import FileInputs, NoSound
from otoscope.tasks.audiomarathon.kinds import KINDS, Kind
from otoscope.tasks.audiomarathon.layout import Entry, read_entries
from otoscope.tasks.audiomarathon.miniature import cached
from otoscope.tasks.audiomarathon.prompts import own_turn, text_of, turned, wordings
from otoscope.tasks.audiomarathon.scores import CHOICE, TRANSCRIPT, answer_rows, measures
from otoscope.tasks.audiomarathon.subsets import SUBSETS, part_of, subset
from otoscope.tasks.audiomarathon.tables import tables

TURNS = ("own", "none", "all")
PARTS = ("all", "calibration", "test")
#: The turn that the protocol sets.
BY_PROTOCOL = "by protocol"
#: What a protocol sets unless told otherwise: prompts, parser, turn, subset.
PROTOCOLS = {
    "sound": ("sound", "lenient", "own", "full"),
    "official-qwen": ("official-qwen", "official", "none", "official-qwen"),
}


@dataclass(frozen=True)
class AudioMarathonTask:
    """Parameters: ``data`` (a copy of the data set, or its id on the hub with ``@revision`` or without: see
    :mod:`.hub`; default: a miniature that the package makes), ``protocol`` (sound,
    official-qwen) and what it sets: ``prompts`` (sound, official-qwen, a TOML file), ``parser`` (strict, lenient,
    official), ``turn`` of the options (own: by the item; none; all: every item once per turn), ``subset`` (full,
    official-qwen, balanced), ``part`` (all; calibration: what interventions may learn from; test: the rest, which
    shares no speaker or recording with it). The order of the items is drawn from their ids, so that the first ones are
    a sample."""

    version: ClassVar[int] = 1
    rounds: ClassVar[int] = 1
    keeps_outputs: ClassVar[bool] = False
    findings_of_rows: ClassVar[Any] = None
    findings: ClassVar[Any] = staticmethod(tables)
    shard_items: ClassVar[int] = 8
    key: ClassVar[str] = ""
    parsers: ClassVar[tuple[str, ...]] = tuple(parsers.PARSERS)

    data: str | None = None
    protocol: str = "sound"
    prompts: str | None = None
    parser: str | None = None
    turn: str | None = BY_PROTOCOL
    subset: str | None = None
    part: str = field(default="all", metadata={NEUTRAL: "all"})

    def __post_init__(self) -> None:
        if self.protocol not in PROTOCOLS:
            raise UsageError(f"there is no protocol {self.protocol!r}", fix=f"Use {', '.join(PROTOCOLS)}.")
        if self.turn is None:  # what a name's ``turn=none`` is read as
            object.__setattr__(self, "turn", "none")
        for name, value in zip(("prompts", "parser", "turn", "subset"), PROTOCOLS[self.protocol], strict=True):
            if getattr(self, name) in (None, BY_PROTOCOL):
                object.__setattr__(self, name, value)
        if self.turn not in TURNS:
            raise UsageError(f"there is no turn {self.turn!r}", fix=f"Use {', '.join(TURNS)}.")
        if self.subset not in SUBSETS:
            raise UsageError(f"there is no subset {self.subset!r}", fix=f"Use {', '.join(SUBSETS)}.")
        if self.part not in PARTS:
            raise UsageError(f"there is no part {self.part!r}", fix=f"Use {', '.join(PARTS)}.")
        parsers.parser(str(self.parser))
        found = wordings(str(self.prompts))
        if self.key and not self.kind.free and self.turn != "none" and "{options}" not in found[self.key].text:
            what = f"turn={self.turn} turns options, and the prompts {self.prompts} name their letters themselves"
            raise UsageError(what, where=self.name, fix="Use turn=none.")

    @property
    def kind(self) -> Kind:
        return KINDS[self.key]

    @property
    def name(self) -> str:
        return self.kind.name

    def entries(self) -> tuple[Entry, ...]:
        """The subset's entries, in the order in which they are asked."""
        own_calibration = self.data is None and self.part == "calibration"
        root = cached("train" if own_calibration else "test") if self.data is None else folder_of(self.data)
        part = "all" if self.data is None else self.part
        found = _entries(root, self.key, str(self.subset), part)
        return tuple(replace(e, group=f"train:{e.group}") for e in found) if own_calibration else found

    @property
    def domain(self) -> str:
        """``semantic`` or ``acoustic``: what heads are told apart by."""
        return self.kind.domain

    def identity(self) -> Mapping[str, Any]:
        """What is asked of which files (by name and size), and how it is read."""
        listing = [
            (e.id, e.question, e.options, e.gold, e.transcript, FileInputs(e).describe()) for e in self.entries()
        ]
        return {
            "name": self.name,
            "version": self.version,
            "entries": digest(listing),
            "prompts": digest(wordings(str(self.prompts))[self.key], 16),
            "parser": [self.parser, parsers.VERSION],
            "turn": self.turn,
        }

    def accepts(self, card: Card) -> str | None:
        if card.capability != "audiolm":
            return f"needs an audio language model, and {card.name} is of the kind {card.capability!r}"
        return None

    def refuses(self, label: Any, card: Card) -> str | None:
        parts = label.get("chain", [label]) if isinstance(label, Mapping) else [label]
        rungs = any(isinstance(p, Mapping) and "rung" in p for p in parts)
        return "the rungs of the BMLD ladder act on binaural triplets, not on recordings" if rungs else None

    def items(self, round: int = 0, rows: Any = None) -> Sequence[Item]:
        found = self.entries()
        donors = _donors(found)
        return [
            self._item(turned(entry, by), by, donors.get(entry.id), of)
            for entry in found
            for by, of in self._turns(entry)
        ]

    def _turns(self, entry: Entry) -> list[tuple[int, bool]]:
        if self.turn == "all" and entry.options:
            return [(by, True) for by in range(len(entry.options))]
        return [(own_turn(entry) if self.turn == "own" else 0, False)]

    def _item(self, entry: Entry, by: int, donor: Entry | None, of: bool) -> Item:
        factors: dict[str, Factor] = {"task": self.key, **entry.factors}
        if of:
            factors["turn"] = by
        return Item(
            f"{entry.id}#{by}" if of else entry.id,
            entry.id,
            entry.group,
            FileInputs(entry, donor),
            factors,
            prompt=entry.question,
            target=entry,
        )

    def request(self, item: Item, card: Card) -> Request:
        entry: Entry = item.target
        if entry.problem is not None and isinstance(item.inputs, FileInputs):
            raise InputError(entry.problem, where=item.id)
        wording = wordings(str(self.prompts))[self.key]
        text = text_of(entry, wording)
        if isinstance(item.inputs, NoSound) and item.inputs.told:
            text = f"This is said in a recording: {item.inputs.told}\n{text}"
        system = wording.system if card.extra.get("system_before_sound", True) else None
        if wording.system is not None and system is None:
            text = f"{wording.system}\n{text}"
        return Generate(
            item.inputs.names, text, system, wording.max_new_tokens, against_bare=True, family=self.kind.domain
        )

    def score(self, item: Item, output: Embedded | Decision | Separated | Answered) -> list[Row]:
        if not isinstance(output, Answered):
            raise InputError("these questions are put to audio language models", where=item.id)
        return answer_rows(self.kind, item.target, output, parsers.parser(str(self.parser)))

    def rescore(self, item: Item, reply: str) -> list[Row]:
        """The rows that depend on the words of a stored reply."""
        spoken = Reply(reply, (), TokenCounts(0, 0, 0))
        return [r for r in self.score(item, Answered(spoken)) if r.metric in self.rescored]

    @property
    def rescored(self) -> frozenset[str]:
        """Metrics that :meth:`rescore` gives."""
        return frozenset(TRANSCRIPT if self.kind.free else CHOICE)

    def fit_readout(self, items: Sequence[Item], outputs: Sequence[Any]) -> list[tuple[Item, list[Row]]]:
        raise InputError("these tasks learn nothing across items")

    def measures(self) -> Sequence[Measure]:
        return measures(self.kind)

    def with_parser(self, name: str) -> AudioMarathonTask:
        """The same task with another parser."""
        parsers.parser(name)
        return replace(self, parser=name)


@lru_cache(maxsize=64)
def _entries(root: Path, key: str, chosen: str, part: str) -> tuple[Entry, ...]:
    found = part_of(subset(read_entries(root, key), chosen), part)
    if not found:
        raise InputError(f"has no entries of {key} in the subset {chosen}, part {part}", where=str(root))
    return tuple(sorted(found, key=lambda e: digest(e.id)))


def _donors(entries: Sequence[Entry]) -> dict[str, Entry]:
    """For each entry the next one of another group whose sound is there."""
    found: dict[str, Entry] = {}
    for i, entry in enumerate(entries):
        for k in range(1, len(entries)):
            other = entries[(i + k) % len(entries)]
            if other.group != entry.group and other.problem is None:
                found[entry.id] = other
                break
    return found


# --- the ten, by their registered names ---


class Asr(AudioMarathonTask):
    key = "asr"


class Scr(AudioMarathonTask):
    key = "scr"


class Ser(AudioMarathonTask):
    key = "ser"


class Sed(AudioMarathonTask):
    key = "sed"


class Mc(AudioMarathonTask):
    key = "mc"


class Asc(AudioMarathonTask):
    key = "asc"


class Sd(AudioMarathonTask):
    key = "sd"


class Er(AudioMarathonTask):
    key = "er"


class Sar(AudioMarathonTask):
    key = "sar"


class Sgr(AudioMarathonTask):
    key = "sgr"
