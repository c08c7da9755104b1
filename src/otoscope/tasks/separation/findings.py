"""The study in a few printed tables: one per probe, what every way of saving loses, and the headline ratios."""

from __future__ import annotations

from typing import Any

from otoscope.core.naming import parse_spec
from otoscope.results.compare import Comparison
from otoscope.results.duels import Duel
from otoscope.results.store import Results
from otoscope.stats.intervals import Interval
from otoscope.tasks.separation.study import FEWER_STEPS, SAVINGS, Rivalry, Study, by_probe

Table = tuple[str, list[str], list[list[Any]]]
#: How savings are called in headers.
EQUAL = {"saved_self_attention": "attention", "saved_flops": "FLOPs", "saved_seconds": "seconds"}
#: Digits of a loss by metric.
DIGITS = {"si_sdr_db": 2, "sar_db": 2, "pesq": 2, "pesq_nb": 2, "latent_cosine": 4}


def tables(results: Results) -> list[Table]:
    """One table per probe; per setting of the ways of saving two: losses and savings, and the headline."""
    study = Study(results)
    found = probe_tables(study)
    for rivalry in study:
        found += [_losses(rivalry), headline(rivalry)]
    return [t for t in found if t[2]]


def probe_tables(study: Study) -> list[Table]:
    """Per probe a line per tier and target: mean difference from the bare model, Cohen's d of the pairs, and p after
    Holm's correction over all of them. ``least p``: no effect could have a smaller one over so few groups."""
    comparisons = study.probes
    metrics = list(dict.fromkeys(c.metric for c in comparisons))
    rows: dict[str, list[list[Any]]] = {}
    for (task, condition, model, target, probe), by in by_probe(comparisons).items():
        groups = max(c.n_groups for c in by.values())
        least = f"{shown_p(study.least_p(groups))} ({groups} groups)"
        line = [place(task, condition), target, model, least, *(difference(by.get(m)) for m in metrics)]
        rows.setdefault(probe, []).append(line)
    header = ["mixtures", "target", "model", "least p", *metrics]
    return [
        (f"{probe}: difference from the unmodified model (d, p after Holm)", header, r) for probe, r in rows.items()
    ]


def difference(c: Comparison | None) -> str | None:
    """``-3.21 (d -1.10, p 0.002)``; None where nothing was compared."""
    if c is None or c.difference is None:
        return None
    effect = "d ?" if c.effect_size is None else f"d {c.effect_size:.2f}"
    p = "p ?" if c.p_holm is None else f"p {shown_p(c.p_holm)}"
    return f"{c.difference:+.{digits(c.metric)}f} ({effect}, {p})"


def shown_p(p: float) -> str:
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def _losses(rivalry: Rivalry) -> Table:
    metrics = rivalry.metrics
    lines: list[list[Any]] = []
    for name, by in rivalry.trades.items():
        saved = next(iter(by.values())).saved
        lost = [with_interval(by[m].loss, digits(m)) if m in by else None for m in metrics]
        lines.append([name, *(_share(saved[s]) for s in SAVINGS), *lost])
    header = ["intervention", *(f"saved {EQUAL[s]}" for s in SAVINGS), *(f"lost {m}" for m in metrics)]
    return f"What is saved and what is lost: {title(rivalry)}", header, lines


def headline(rivalry: Rivalry) -> Table:
    """Loss ratios against fewer steps, by metric and plan; above 1 the method loses less."""
    rows: list[list[Any]] = []
    for metric in rivalry.metrics:
        by: dict[str, dict[tuple[str, str], Duel]] = {}
        for saving in SAVINGS:
            for d in rivalry.duels[metric, saving]:
                by.setdefault(d.method, {})[d.rival, saving] = d
        for method, found in by.items():
            cells = [ratio(found.get((ladder, s))) for ladder in FEWER_STEPS for s in SAVINGS]
            rows.append([metric, method, *cells, "flat: fewer steps lose nothing" if metric in rivalry.flat else ""])
    header = [f"{how}, equal {EQUAL[s]}" for how in FEWER_STEPS.values() for s in SAVINGS]
    caption = f"loss_ratio_vs_fewer_steps (above 1: the method loses less): {title(rivalry)}"
    return caption, ["metric", "method", *header, "note"], rows


def ratio(d: Duel | None) -> str:
    """``2.1 [1.4, 3.0]``, or who loses less where the ratio is undefined, or why nothing can be said."""
    if d is None:
        return "not run"
    if d.ratio is not None:
        return with_interval(d.ratio, 2)
    if d.difference is None:
        return "out of range" if "outside" in d.note else d.note
    return {"method": "undefined, method better", "rival": "undefined, fewer steps better", "": "undefined, equal"}[
        d.winner
    ]


def place(task: str, condition: str) -> str:
    """A task's mixtures in few words: its tier, what else was set, and the condition."""
    spec = parse_spec(task)
    more = spec.without("tier", "n_items")
    rest = ", ".join(f"{k}={v}" for k, v in more.params.items())
    parts = [str(spec.params.get("tier", "clean")), rest, "" if condition == "intact" else condition]
    return ", ".join(p for p in parts if p)


def title(rivalry: Rivalry) -> str:
    return f"{place(rivalry.setting.task, rivalry.setting.condition)}, {rivalry.setting.model}"


def digits(metric: str) -> int:
    return DIGITS.get(metric, 3)


def with_interval(x: Interval, n: int) -> str:
    return f"{x.value:.{n}f} [{x.low:.{n}f}, {x.high:.{n}f}]"


def _share(x: Interval) -> str:
    return f"{100 * x.value:.1f} %"
