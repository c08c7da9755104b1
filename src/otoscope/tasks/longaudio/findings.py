"""What a run of these tasks says in printed tables: a line per family and setting, a column per length."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from otoscope.results.scoring import Score

Table = tuple[str, list[str], list[list[Any]]]


def tables(scores: Sequence[Score], cells: Sequence[Any]) -> list[Table]:
    """Scores by length, chains by hops, needles by position."""
    mine = [s for s in scores if s.task.startswith("longaudio/") and s.value is not None]
    found = [
        _by(mine, "score", "seconds", "Long audio: score by length in seconds (unreadable replies are wrong)"),
        _by(mine, "unparsed_share", "seconds", "Replies without an answer that can be read, in percent, by length"),
        _by(mine, "recall_at", "position", "Needles found, in percent, by position (0 start, 1 end) and length"),
    ]
    return [t for t in found if t[2]]


def _by(scores: Sequence[Score], metric: str, axis: str, title: str) -> Table:
    chosen = [s for s in scores if s.metric == metric and axis in s.factors]
    columns = sorted({float(s.factors[axis]) for s in chosen})
    lines: dict[tuple[str, ...], dict[float, Score]] = {}
    for s in chosen:
        rest = " ".join(f"{k}={v}" for k, v in s.factors.items() if k != axis)
        family = s.task.partition(":")[0].removeprefix("longaudio/")
        lines.setdefault((family, rest, s.model, s.intervention, s.condition), {})[float(s.factors[axis])] = s
    rows = [[*key, *(_cell(by.get(c)) for c in columns)] for key, by in lines.items()]
    return title, ["family", "", "model", "intervention", "condition", *(f"{c:g}" for c in columns)], rows


def _cell(s: Score | None) -> str | None:
    if s is None:
        return None
    if s.ci_low is None or s.ci_high is None:
        return f"{s.value:.1f}"
    return f"{s.value:.1f} [{s.ci_low:.1f}, {s.ci_high:.1f}]"
