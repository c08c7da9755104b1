"""Shards: the unit of work that is finished or not, and the only files that hold rows.

A shard is named by *what is in it*: round, index and a digest of its items' ids. An enlarged experiment therefore never
touches a finished shard: full shards keep their name, and a last shard that grew is another shard. Which shards count
is written in the cell's :class:`Extent`, so a reader needs nothing but the directory.

A shard is never rewritten. Trying again (after failures) writes the next *attempt* beside the earlier ones, and readers
take the highest: a reader that is half-way through an old attempt is not disturbed, and a kill leaves either the old
attempt or the new one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from otoscope.core.identity import digest

ShardKind = Literal["items", "readout"]

_NAME = re.compile(r"r(?P<round>\d+)-(?P<index>\d{5,})-(?P<digest>[0-9a-f]{16})(?P<readout>\.readout)?")
_FILE = re.compile(rf"(?P<key>{_NAME.pattern})\.a(?P<attempt>\d+)\.parquet")


@dataclass(frozen=True, order=True)
class ShardKey:
    """``items`` shards hold an item's own rows; a ``readout`` shard holds what was learned across a round's items."""

    round: int
    index: int
    kind: ShardKind
    digest: str

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(str(self)):
            raise ValueError(f"not a shard key: {self.round}, {self.index}, {self.kind}, {self.digest!r}")

    def __str__(self) -> str:
        return f"r{self.round}-{self.index:05d}-{self.digest}" + (".readout" if self.kind == "readout" else "")

    @classmethod
    def of(cls, round: int, index: int, item_ids: Iterable[str], kind: ShardKind = "items") -> ShardKey:
        """The key of a shard with these items (their order does not matter)."""
        return cls(round, index, kind, digest(sorted(item_ids), length=16))

    @classmethod
    def parse(cls, text: str) -> ShardKey:
        m = _NAME.fullmatch(text)
        if m is None:
            raise ValueError(f"not a shard key: {text!r}")
        return cls(int(m["round"]), int(m["index"]), "readout" if m["readout"] else "items", m["digest"])

    def file_name(self, attempt: int) -> str:
        return f"{self}.a{attempt}.parquet"


def parse_file_name(name: str) -> tuple[ShardKey, int] | None:
    """``(key, attempt)``, or None if ``name`` is not a shard's."""
    m = _FILE.fullmatch(name)
    return (ShardKey.parse(m["key"]), int(m["attempt"])) if m else None


def plan_shards(round: int, item_ids: Sequence[str], shard_items: int) -> list[tuple[ShardKey, slice]]:
    """Cut a round's items into shards of ``shard_items``: each key with the slice of ``item_ids`` it covers."""
    if shard_items < 1:
        raise ValueError(f"a shard needs at least one item, got {shard_items}")
    cuts = [slice(i, min(i + shard_items, len(item_ids))) for i in range(0, len(item_ids), shard_items)]
    return [(ShardKey.of(round, n, item_ids[cut]), cut) for n, cut in enumerate(cuts)]


@dataclass(frozen=True)
class Extent:
    """What a cell consists of: per round the number of items, and the shards that count. Empty: not planned yet."""

    items: Mapping[int, int] = field(default_factory=dict)
    shards: tuple[ShardKey, ...] = ()

    @property
    def n_items(self) -> int:
        return sum(self.items.values())

    def with_round(self, round: int, n_items: int, keys: Iterable[ShardKey]) -> Extent:
        """This extent with ``round`` replaced, and without later rounds: they were planned from the earlier rows. The
        same extent if the round is what it was."""
        keys = tuple(sorted(keys))
        if self.items.get(round) == n_items and keys == tuple(k for k in self.shards if k.round == round):
            return self
        if any(k.round != round for k in keys):
            raise ValueError(f"keys of another round than {round}: {[str(k) for k in keys]}")
        kept = tuple(k for k in self.shards if k.round < round)
        return Extent({**{r: n for r, n in self.items.items() if r < round}, round: n_items}, kept + keys)

    def to_json(self) -> str:
        rounds = {
            str(r): {"items": n, "shards": [str(k) for k in self.shards if k.round == r]}
            for r, n in sorted(self.items.items())
        }
        return json.dumps(rounds, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Extent:
        rounds = json.loads(text)
        items = {int(r): int(v["items"]) for r, v in rounds.items()}
        return cls(items, tuple(sorted(ShardKey.parse(k) for v in rounds.values() for k in v["shards"])))
