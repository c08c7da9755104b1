"""Conditions that every task understands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from otoscope.core.items import Item
from otoscope.core.nouns import Condition


@dataclass(frozen=True)
class Intact:
    """The stimulus as it is."""

    version: ClassVar[int] = 1

    @property
    def label(self) -> Any:
        return "intact"

    def __call__(self, item: Item) -> Item:
        return item


@dataclass(frozen=True)
class Chain:
    """Several conditions, one after the other."""

    version: ClassVar[int] = 1
    parts: tuple[Condition, ...]

    @property
    def label(self) -> Any:
        return {"chain": [part.label for part in self.parts]}

    def __call__(self, item: Item) -> Item:
        for part in self.parts:
            item = part(item)
        return item
