"""What each probe changes: per kind of mixture a table of probes by measures."""

from __future__ import annotations

from collections.abc import Sequence

from otoscope.report.section import TD, Block, Fold, Prose, Section, Table
from otoscope.report.tables import DASH, interval, number
from otoscope.results.compare import Comparison
from otoscope.tasks.separation.findings import digits, place, shown_p
from otoscope.tasks.separation.study import Study, by_probe

#: A tint is full at this effect size (Cohen's d of the pairs).
_FULL = 2.0
#: Where the least possible p is above, the page says that p tells nothing.
ALPHA = 0.05


def probes(study: Study) -> Section | None:
    """Difference from the unmodified model, its interval, effect size and corrected p; None where none was run."""
    found = study.probes
    if not found:
        return None
    n = sum(c.p is not None for c in found)
    lead = Prose(
        "Each line is the model with one part ablated, swapped or frozen, less the model as it is, on the same items. "
        "d is Cohen's d over the pairs (Hedges-corrected); p is from sign flips over groups, after Holm's correction "
        f"for all {n} comparisons of this page. A shade shows the size of d: blue is better, orange worse."
    )
    blocks: list[Block] = [lead]
    for i, (name, table) in enumerate(_tables(study)):
        blocks.append(Fold(name, [Prose(_least(study, name)), table], i == 0))
    return Section("probes", "What the separator uses", blocks)


def probe_table(study: Study) -> Table:
    """The probes of the first kind of mixture."""
    return _tables(study)[0][1]


def _name(task: str, condition: str, model: str, target: str) -> str:
    return ", ".join(p for p in (place(task, condition), f"target {target}" if target else "", model) if p)


def _least(study: Study, wanted: str) -> str:
    """How small the p of a table can be at all."""
    groups = max(
        c.n_groups for (*where, _), by in by_probe(study.probes).items() if _name(*where) == wanted for c in by.values()
    )
    least = study.least_p(groups)
    text = f"{groups} independent groups: after the correction no p can be below {shown_p(least)} here"
    if least < ALPHA:
        return f"{text}."
    return f"{text}, so no effect, however large, can be told from none by its p. Read d and the intervals."


def _tables(study: Study) -> list[tuple[str, Table]]:
    """By kind of mixture."""
    metrics = list(dict.fromkeys(c.metric for c in study.probes))
    rows: dict[str, list[Sequence[TD | str]]] = {}
    for (*where, probe), by in by_probe(study.probes).items():
        rows.setdefault(_name(*where), []).append([probe, *(_cell(by.get(m)) for m in metrics)])
    return [(n, Table(f"Differences: {n}", ["probe", *metrics], found, compact=True)) for n, found in rows.items()]


def _cell(c: Comparison | None) -> TD:
    if c is None or c.difference is None:
        return TD(DASH, "" if c is None else c.note or "", number=True)
    n = digits(c.metric)
    effect = "d ?" if c.effect_size is None else f"d {number(c.effect_size, 1)}"
    p = "p ?" if c.p_holm is None else f"p {shown_p(c.p_holm)}"
    tint = None if c.effect_size is None else max(-1.0, min(1.0, c.effect_size / _FULL))
    sub = f"{interval(c.ci_low, c.ci_high, n)} {effect}, {p}"
    return TD(number(c.difference, n, sign=True), sub, number=True, tint=tint)
