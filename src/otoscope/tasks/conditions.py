"""Conditions that every task understands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from otoscope.core.items import Item


@dataclass(frozen=True)
class Intact:
    """The stimulus as it is."""

    version: ClassVar[int] = 1

    @property
    def label(self) -> Any:
        return "intact"

    def __call__(self, item: Item) -> Item:
        return item
