"""Any task: its scores in tables, one per metric. What tasks without a section of their own get."""

from __future__ import annotations

import re
from collections.abc import Sequence

from otoscope.report.run import Run
from otoscope.report.section import Block, Fold, Prose, Section
from otoscope.report.tables import factor_names, score_table
from otoscope.results.scoring import Score

#: Tables longer than this are folded.
_LONG = 25


def generic(run: Run, task: str) -> list[Section]:
    """One section with every score of ``task``."""
    scores = run.of_task(task)
    ident = re.sub(r"\W+", "-", task).strip("-") or "task"
    if not scores:
        return [Section(ident, task, [Prose(f"The task {task} gave no scores.", "missing")])]
    blocks = [_of_metric(metric, [s for s in scores if s.metric == metric]) for metric in _metrics(scores)]
    return [Section(ident, task, blocks)]


def _metrics(scores: Sequence[Score]) -> list[str]:
    return list(dict.fromkeys(s.metric for s in scores))


def _of_metric(metric: str, scores: Sequence[Score]) -> Block:
    table = score_table(metric, scores, factors=factor_names(scores))
    return Fold(f"{metric} ({len(scores)})", [table], shown=len(scores) <= _LONG)
