"""The published leaderboard as data (arXiv 2510.07293, main table; fact sheet, section 4.1); its means recomputed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

_FILE = Path(__file__).parent / "data" / "published_he2025.json"
#: What a reader must know before comparing with these numbers.
CAVEATS = (
    "prompts, bounds on new tokens and sampling differ from model to model in the publication",
    "macro F1 over the replies that could be read: a model that refuses is not penalised",
    "some tasks are F1 of letters, one is weighted; transcription is 100 less the mean WER of the items",
    "the human mean is of nine tasks, without transcription",
)


@cache
def published() -> Mapping[str, Any]:
    """``order`` of the tasks, ``rows`` (model -> scores in that order, and the printed mean), ``human``."""
    found: dict[str, Any] = json.loads(_FILE.read_text(encoding="utf-8"))
    return found


def means(scores: Mapping[str, float]) -> dict[str, float]:
    """``ten`` and ``nine`` (without transcription), where all of their tasks are there."""
    found = {}
    if len(scores) == 10:
        found["ten"] = sum(scores.values()) / 10
    rest = [v for k, v in scores.items() if k != "asr"]
    if len(rest) == 9:
        found["nine"] = sum(rest) / 9
    return found
