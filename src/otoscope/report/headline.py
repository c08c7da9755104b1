"""What a study says in one sentence, one figure and one table: the head of its chapter on a page about several runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from otoscope.report.section import Block, Tone


@dataclass(frozen=True)
class Headline:
    """``sentence`` is in plain words and holds a number with its interval; ``verdict`` is two or three words of it;
    ``caveat`` is what the finding does not say; ``blocks`` are a figure and a table."""

    verdict: str
    tone: Tone
    sentence: str
    caveat: str
    blocks: Sequence[Block] = ()
