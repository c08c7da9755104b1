"""The ablation ladder: how much of the effect each rung leaves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from otoscope.core.naming import parse_spec
from otoscope.report.pick import variant
from otoscope.report.section import TD, Bar, Block, Fold, Prose, Section, Table
from otoscope.report.sections.bmld.study import GATED, RATIO, Study
from otoscope.report.tables import DASH, db, percent
from otoscope.results.scoring import Score
from otoscope.tasks.bmld.rungs import RUNGS
from otoscope.tasks.catalogue import CONDITIONS

#: A rung of one variant of the task: the condition and the variant.
Rung = tuple[str, str]


def ladder(study: Study) -> Section:
    """A matrix of all models, then one table per model."""
    rungs = rungs_of(study)
    conditions = list(dict.fromkeys(c for c, _ in rungs))
    if not [c for c in conditions if c != "intact"]:
        return Section("ladder", "Ablation ladder", [Prose("No rung but the intact stimulus was run.", "missing")])
    points = _common_points(study)
    blocks: list[Block] = [
        Prose(
            "Each rung changes the stimulus, the same way for noise and both tones, and so takes a cue away. A "
            "cell of the grid counts as unmasking or reversal where its sign-flip test holds after "
            "Benjamini-Hochberg correction (q < 0.05). Shares are of all cells, and they are no accuracies. The "
            "paper counts without gates; we count only cells that pass them. A rung where the two differ is one "
            "where ratios of tiny distances look significant."
        )
    ]
    models = [m for m in study.encoders if any(study.tones.all(m, RATIO, c) for c in conditions if c != "intact")]
    blocks.append(_matrix(study, rungs, models, points))
    left_out = [m for m in study.encoders if m not in models]
    if left_out:
        blocks.append(Prose(f"No rung was run on: {', '.join(left_out)}.", "missing"))
    for m in models:
        blocks.append(Fold(m, [_model_table(study, m, rungs, points)], shown=m in study.leads[:2]))
    missing = [c for c in RUNGS if c not in {parse_spec(c).name for c in conditions}]
    if missing:
        blocks.append(Prose(f"Rungs that were not run: {', '.join(missing)}.", "missing"))
    return Section("ladder", "Ablation ladder", blocks)


def rungs_of(study: Study) -> list[Rung]:
    """Every (condition, variant) that was run, the intact stimulus first, then in the order of the ladder."""
    found = dict.fromkeys((s.condition, variant(s)) for s in study.tones if s.metric == RATIO)
    return sorted(found, key=lambda r: (_rank(r[0]), r[0], study.variants.index(r[1])))


def _rank(condition: str) -> int:
    name = parse_spec(condition).name
    if name == "intact":
        return -1
    return list(RUNGS).index(name) if name in RUNGS else len(RUNGS)


def about(condition: str) -> str:
    """What a rung does, from the registry; "" for a plug-in's that is gone."""
    name = parse_spec(condition).name
    return CONDITIONS.entry(name).summary if name in CONDITIONS else ""


def _common_points(study: Study) -> set[tuple[object, object]]:
    """(frequency, SNR) of the rungs: the intact stimulus is averaged over the same ones."""
    return {_at(s) for s in study.tones if s.metric == RATIO and s.condition != "intact"}


def _at(s: Score) -> tuple[object, object]:
    return s.factors.get("frequency_hz"), s.factors.get("snr_db")


def _of(study: Study, model: str, metric: str, rung: Rung) -> list[Score]:
    return [s for s in study.tones.all(model, metric, rung[0]) if variant(s) == rung[1]]


def _mean(scores: Sequence[Score], points: set[tuple[object, object]]) -> tuple[float | None, int, int]:
    """Mean over the points that have a value, how many those are, and how many there were."""
    here = [s for s in scores if _at(s) in points]
    values = [s.value for s in here if s.value is not None]
    return (float(np.mean(values)) if values else None), len(values), len(here)


def _share(study: Study, model: str, metric: str, rung: Rung) -> Score | None:
    return next((s for s in _of(study, model, metric, rung) if not s.factors), None)


def _shares(study: Study, model: str, rung: Rung, suffix: str = "") -> tuple[str, Bar | None]:
    """``50 % + 12 % of 24 cells`` and its bar. The cells are those of the rung's own grid."""
    up, down = (_share(study, model, f"{kind}_share{suffix}", rung) for kind in ("unmasking", "reversal"))
    if up is None or down is None or up.value is None or down.value is None:
        return DASH, None
    note = f" {up.note}" if up.note else ""
    return f"{percent(up.value)} + {percent(down.value)}{note}", Bar(up.value, down.value, hollow=bool(suffix))


def _matrix(study: Study, rungs: Sequence[Rung], models: Sequence[str], points: set[tuple[object, object]]) -> Table:
    several = _ambiguous(rungs)
    rows: list[list[TD | str]] = []
    for rung in rungs:
        row: list[TD | str] = [TD(rung[0], sub=rung[1] if rung[0] in several else "")]
        for m in models:
            gated, n, n_all = _mean(_of(study, m, GATED, rung), points)
            if n_all == 0:
                row.append(TD("not run", number=True))
                continue
            shares, _ = _shares(study, m, rung)
            text = f"{db(gated)} dB" if gated is not None else "gated"
            tint = None if gated is None else float(np.clip(gated / 15.0, -1.0, 1.0))
            row.append(TD(text, sub=f"{shares}; {n}/{n_all} pass", number=True, tint=tint))
        rows.append(row)
    return Table(
        "Mean gated ratio over the points that pass the gates; below it shares of unmasking + reversal, and how "
        "many points pass. The intact mean is over the points that the rungs have.",
        ["rung", *models],
        rows,
        compact=True,
    )


def _ambiguous(rungs: Sequence[Rung]) -> set[str]:
    names = [c for c, _ in rungs]
    return {c for c in names if names.count(c) > 1}


def _model_table(study: Study, model: str, rungs: Sequence[Rung], points: set[tuple[object, object]]) -> Table:
    several = _ambiguous(rungs)
    rows: list[list[TD | str]] = []
    for rung in rungs:
        ungated, _, n_all = _mean(_of(study, model, RATIO, rung), points)
        if n_all == 0:
            continue
        gated, n, _ = _mean(_of(study, model, GATED, rung), points)
        what = about(rung[0]) + (f" [{rung[1]}]" if rung[0] in several else "")
        rows.append(
            [
                TD(rung[0], sub=what),
                _bar(study, model, rung, ""),
                _bar(study, model, rung, "_ungated"),
                TD(f"{n}/{n_all}", number=True),
                TD(db(gated) if gated is not None else DASH, sub="" if n else _why(study, model, rung), number=True),
                TD(db(ungated), number=True),
            ]
        )
    return Table(
        f"{model}: shares of cells with unmasking (blue) + reversal (orange), and the mean ratio (dB)",
        ["rung", "gated shares", "ungated shares (as the paper counts)", "cells passing", "gated mean", "ungated mean"],
        rows,
    )


def _bar(study: Study, model: str, rung: Rung, suffix: str) -> TD:
    text, bar = _shares(study, model, rung, suffix)
    return TD(text, bars=(bar,) if bar else ())


def _why(study: Study, model: str, rung: Rung) -> str:
    return next((s.note for s in _of(study, model, GATED, rung) if s.value is None and s.note), "")
