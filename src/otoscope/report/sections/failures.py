"""What went wrong, and what has no value: nothing is left out silently."""

from __future__ import annotations

from collections import Counter

from otoscope.report.run import Run
from otoscope.report.section import TD, Block, Fold, Prose, Section, Table
from otoscope.results.scoring import Score


def failures(run: Run) -> Section:
    """Failed items with their reasons, unfinished cells, cells that could not start, undefined scores by reason."""
    blocks: list[Block] = []
    if run.failures:
        rows: list[list[TD | str]] = [
            [
                TD(f.model, sub=f"{f.task} | {f.condition}"),
                TD(f"{f.n_failed} of {f.n_items}", number=True, tone="bad"),
                TD(_reasons(f.reasons, f.n_other_reasons)),
            ]
            for f in run.failures
        ]
        blocks.append(Table("Failed items", ["cell", "failed", "first reasons (items)"], rows))
    else:
        blocks.append(Prose("No item failed."))
    unfinished = [c for c in run.cells if c.n_done < c.n_items]
    if unfinished:
        rows = [[TD(c.alias), TD(f"{c.n_done} of {c.n_items}", number=True), c.error or ""] for c in unfinished]
        blocks.append(Table("Cells that are not finished", ["cell", "items done", "error"], rows))
    left_out = _left_out(run)
    if left_out:
        rows = [[cell, reason] for cell, reason in left_out]
        blocks.append(
            Fold(f"Left out of the grid ({len(rows)})", [Table("Left out", ["cell", "reason"], rows, compact=True)])
        )
    blocks.append(_undefined(run))
    return Section("failures", "Failures and undefined values", blocks)


def _reasons(reasons: tuple[tuple[str, int], ...], others: int) -> str:
    text = "; ".join(f"{reason} ({n})" for reason, n in reasons)
    return f"{text}; and {others} other reasons" if others else text


def _left_out(run: Run) -> list[tuple[str, str]]:
    found: dict[str, str] = {}
    for record in run.records:
        for entry in record.get("excluded", ()):
            found[str(entry["cell"])] = str(entry["reason"])
    return list(found.items())


def _undefined(run: Run) -> Block:
    undefined = [s for s in run.scores if s.value is None]
    if not undefined:
        return Prose("Every score has a value.")
    counts = Counter(_key(s) for s in undefined)
    all_of = Counter((s.task, s.model, s.condition, s.metric) for s in run.scores)
    rows: list[list[TD | str]] = [
        [
            TD(model, sub=f"{task} | {condition}"),
            metric,
            TD(f"{n} of {all_of[task, model, condition, metric]}", number=True),
            why,
        ]
        for (task, model, condition, metric, why), n in counts.items()
    ]
    table = Table("Scores without a value, by reason", ["cell", "metric", "scores", "reason"], rows, compact=True)
    return Fold(f"Scores without a value ({len(undefined)} of {len(run.scores)})", [table])


def _key(s: Score) -> tuple[str, str, str, str, str]:
    return s.task, s.model, s.condition, s.metric, s.note or s.status
