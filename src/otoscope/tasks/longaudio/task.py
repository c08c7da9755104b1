"""The families of a built benchmark as tasks: ``longaudio/needle`` and its like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from otoscope.core.errors import InputError, UsageError
from otoscope.core.identity import digest
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
from otoscope.tasks.audiomarathon.inputs import NoSound
from otoscope.tasks.audiomarathon.kinds import Domain, Kind
from otoscope.tasks.audiomarathon.prompts import Wording, own_turn, text_of, turned, wordings
from otoscope.tasks.audiomarathon.scores import CHOICE, TRANSCRIPT, answer_rows, measures
from otoscope.tasks.longaudio.benchmark import Stretch, StretchInputs, own_benchmark, stretches
from otoscope.tasks.longaudio.families import FAMILIES
from otoscope.tasks.longaudio.findings import tables

SPLITS = ("test", "train")
#: Families that ask what is said; the others ask how something sounds. Chains ask for both, and count among these.
SEMANTIC = ("transcription", "recall", "entity", "hops")


@dataclass(frozen=True)
class LongAudioTask:
    """Parameters: ``data`` (a folder that ``otoscope build long-audio`` wrote; default: the package's own, small),
    ``split`` (test, train), ``parser`` (strict, lenient), ``turn`` of the options (none: as built, which is balanced;
    own: by the item), ``longest_s`` (no longer versions)."""

    version: ClassVar[int] = 1
    rounds: ClassVar[int] = 1
    keeps_outputs: ClassVar[bool] = False
    findings_of_rows: ClassVar[Any] = None
    findings: ClassVar[Any] = staticmethod(tables)
    shard_items: ClassVar[int] = 6
    key: ClassVar[str] = ""
    parsers: ClassVar[tuple[str, ...]] = ("strict", "lenient")

    data: str | None = None
    split: str = "test"
    parser: str = "lenient"
    turn: str | None = "none"
    longest_s: float | None = None

    def __post_init__(self) -> None:
        if self.turn is None:  # what a name's ``turn=none`` is read as
            object.__setattr__(self, "turn", "none")
        for name, known in (("split", SPLITS), ("parser", self.parsers), ("turn", ("none", "own"))):
            if getattr(self, name) not in known:
                raise UsageError(f"there is no {name} {getattr(self, name)!r}", fix=f"Use {', '.join(known)}.")

    @property
    def name(self) -> str:
        return f"longaudio/{self.key}"

    @property
    def kind(self) -> Kind:
        f = FAMILIES[self.key]
        domain: Domain = "semantic" if self.key in SEMANTIC else "acoustic"
        return Kind(self.key, self.key, f.title, "audio", domain, "own", (), f.options, 0, 0, 16)

    @property
    def wording(self) -> Wording:
        return wordings("sound")["asr" if self.kind.free else "scr"]

    def stretches(self) -> list[Stretch]:
        root = own_benchmark(self.key) if self.data is None else Path(self.data).expanduser()
        found = stretches(root, self.key, self.split)
        kept = [s for s in found if self.longest_s is None or s.seconds <= self.longest_s]
        if not kept:
            raise InputError(f"has nothing of {self.longest_s:g} s or less", where=str(root))
        return kept

    def identity(self) -> Mapping[str, Any]:
        """What is asked about which stretches, and how it is read."""
        listing = [
            (s.id, s.entry.question, s.entry.options, s.entry.gold, s.entry.transcript, StretchInputs(s).describe())
            for s in self.stretches()
        ]
        return {
            "name": self.name,
            "version": self.version,
            "entries": digest(listing),
            "prompts": digest(self.wording, 16),
            "parser": [self.parser, parsers.VERSION],
            "turn": self.turn,
        }

    def accepts(self, card: Card) -> str | None:
        if card.capability != "audiolm":
            return f"needs an audio language model, and {card.name} is of the kind {card.capability!r}"
        return None

    def items(self, round: int = 0, rows: Any = None) -> Sequence[Item]:
        found = self.stretches()
        return [self._item(s, _donor(found, i)) for i, s in enumerate(found)]

    def _item(self, s: Stretch, donor: Stretch | None) -> Item:
        entry = turned(s.entry, own_turn(s.entry)) if self.turn == "own" else s.entry
        factors: dict[str, Factor] = {k: v for k, v in entry.factors.items() if k != "family"}
        return Item(
            s.id,
            entry.id,
            entry.group,
            StretchInputs(s, donor),
            factors,
            prompt=entry.question,
            target=entry,
        )

    def request(self, item: Item, card: Card) -> Request:
        text = text_of(item.target, self.wording)
        if isinstance(item.inputs, NoSound) and item.inputs.told:
            text = f"This is said in a recording: {item.inputs.told}\n{text}"
        most, family = self.wording.max_new_tokens, self.kind.domain
        return Generate(item.inputs.names, text, None, most, against_bare=True, family=family)

    def score(self, item: Item, output: Embedded | Decision | Separated | Answered) -> list[Row]:
        if not isinstance(output, Answered):
            raise InputError("these questions are put to audio language models", where=item.id)
        return answer_rows(self.kind, item.target, output, parsers.parser(self.parser))

    def rescore(self, item: Item, reply: str) -> list[Row]:
        """The rows that depend on the words of a stored reply."""
        spoken = Reply(reply, (), TokenCounts(0, 0, 0))
        return [r for r in self.score(item, Answered(spoken)) if r.metric in self.rescored]

    @property
    def rescored(self) -> frozenset[str]:
        """Metrics that :meth:`rescore` gives."""
        return frozenset(TRANSCRIPT if self.kind.free else CHOICE)

    def with_parser(self, name: str) -> LongAudioTask:
        """The same task with another parser."""
        return replace(self, parser=name)

    def fit_readout(self, items: Sequence[Item], outputs: Sequence[Any]) -> list[tuple[Item, list[Row]]]:
        raise InputError("these tasks learn nothing across items")

    def measures(self) -> Sequence[Measure]:
        """By length; of chains also by hop, of needles by position."""
        by = ("seconds", "hop", "hops") if self.key == "hops" else ("seconds",)
        found = measures(self.kind, by)
        if self.key == "needle":
            placed = [m for m in measures(self.kind, ("seconds", "position")) if m.metric == "accuracy"]
            found += [replace(m, metric="recall_at", doc="needles found, by position") for m in placed]
        return found


def _donor(found: Sequence[Stretch], i: int) -> Stretch | None:
    """The next stretch of the same length, another group and another sound."""
    mine = found[i]
    for k in range(1, len(found)):
        other = found[(i + k) % len(found)]
        if other.seconds == mine.seconds and other.entry.group != mine.entry.group and other.entry.problem is None:
            return other
    for k in range(1, len(found)):
        other = found[(i + k) % len(found)]
        if other.seconds == mine.seconds and other.entry.name != mine.entry.name and other.entry.problem is None:
            return other
    return None


#: One class per family, by its registered name.
_CLASSES: dict[str, type[LongAudioTask]] = {
    key: type(key.capitalize(), (LongAudioTask,), {"key": key, "__doc__": LongAudioTask.__doc__}) for key in FAMILIES
}
globals().update({cls.__name__: cls for cls in _CLASSES.values()})
