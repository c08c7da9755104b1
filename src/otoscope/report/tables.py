"""Numbers as people read them, and tables of scores."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from otoscope.core.items import Factor
from otoscope.report.section import TD, Table
from otoscope.results.scoring import Score

MINUS = "\N{MINUS SIGN}"
DASH = "\N{EN DASH}"


def number(value: float | None, digits: int = 1, *, sign: bool = False) -> str:
    """Fixed digits, a true minus, no "-0.0"; a dash for None."""
    if value is None:
        return DASH
    text = f"{value:.{digits}f}"
    if float(text) == 0.0:
        return text.lstrip("-")
    return text.replace("-", MINUS) if value < 0 else f"+{text}" if sign else text


def db(value: float | None, digits: int = 1) -> str:
    """``+10.4``: dB always carry their sign."""
    return number(value, digits, sign=True)


def percent(value: float | None) -> str:
    return DASH if value is None else f"{number(100.0 * value, 0)} %"


def interval(low: float | None, high: float | None, digits: int = 1, *, sign: bool = False) -> str:
    """``[9.8, 10.6]``; an end outside the tested range is open; "" without an interval."""
    if low is None and high is None:
        return ""
    ends = ["?" if x is None else number(x, digits, sign=sign) for x in (low, high)]
    return f"[{ends[0]}, {ends[1]}]"


def plain(value: Factor | None) -> str:
    """A factor's value as it is named."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float | int):
        return f"{value:g}".replace("-", MINUS)
    return DASH if value is None else str(value)


def significant(value: float | None) -> str:
    """Four significant digits, for metrics of unknown scale."""
    return DASH if value is None else f"{value:.4g}".replace("-", MINUS)


def db_cell(score: Score | None, *, sign: bool = True) -> TD:
    """A score in dB with its bound, its interval below it, and its reason where it has no value."""
    if score is None:
        return TD("not run", number=True)
    if score.value is None:
        return TD(DASH, sub=score.note or score.status, number=True)
    value = f"{score.bound or ''}{number(score.value, sign=sign)}"
    return TD(value, sub=interval(score.ci_low, score.ci_high, sign=sign), number=True)


def score_table(caption: str, scores: Sequence[Score], *, factors: Iterable[str]) -> Table:
    """Any scores, one a line: what a task without a section of its own gets."""
    names = list(factors)
    header = ["model", "condition", "intervention", "metric", *names, "value", "95 % interval", "n", "groups", "failed"]
    rows: list[list[TD | str]] = [
        [
            s.model,
            s.condition,
            s.intervention,
            s.metric,
            *(TD(plain(s.factors.get(f))) for f in names),
            TD(f"{s.bound or ''}{significant(s.value)}", sub=s.note or "", number=True),
            TD(_significant_interval(s), number=True),
            TD(str(s.n), number=True),
            TD(str(s.n_groups), number=True),
            TD(str(s.n_failed), number=True, tone="bad" if s.n_failed else None),
        ]
        for s in scores
    ]
    if all(s.intervention == "none" for s in scores):
        header.pop(2)
        for row in rows:
            row.pop(2)
    return Table(caption, header, rows, compact=True)


def _significant_interval(s: Score) -> str:
    if s.ci_low is None and s.ci_high is None:
        return DASH
    low, high = ("?" if end is None else significant(end) for end in (s.ci_low, s.ci_high))
    return f"[{low}, {high}]"


def factor_names(scores: Iterable[Score]) -> list[str]:
    """The factors that occur, in order of first occurrence."""
    return list(dict.fromkeys(name for s in scores for name in s.factors))
