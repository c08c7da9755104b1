"""What a model's curves say about interaural phase. The rule is ours, written down so that it can be disputed.

Evidence, per model and layer, over the frequencies up to 1 kHz where humans use fine structure:

- ``intact``: the gated ratio, against the null band of random-weight twins and a margin of 1 dB;
- ``phase-only``: the ratio when the ears differ in phase but not in magnitude;
- ``magnitude-only``: the ratio when they differ in magnitude but not in phase;
- ``nu-masker``: the ratio with independent noises, where no binaural cue is left. What it shows, an ear shows alone.

Verdicts: **phase** (the phase-only hybrid keeps an effect above the margin, the null band and the phase-blind envelope
of the same stimuli), **magnitude texture** (an effect that is not phase), **none** (no effect, and the interval is
inside the margin or the null band), **unresolved** (this run could not tell), **undefined** (nothing passes the gates).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from otoscope.core.naming import parse_spec
from otoscope.results.scoring import Score

Verdict = Literal["phase", "magnitude texture", "none", "unresolved", "undefined"]

#: Effects inside +/- this many dB count as none (ours; the equivalence margin).
MARGIN_DB = 1.0
#: Fine structure carries the human BMLD up to about here (Hz).
LOW_FREQUENCY_HZ = 1000.0
#: The front end that is blind to phase by construction, and positive all the same.
PHASE_BLIND = "logmel-ild"

Point = tuple[float, float]  # frequency in Hz, signal-to-noise ratio in dB


@dataclass(frozen=True)
class Cell:
    """One gated point of a curve: mean and interval in dB; value None where a gate closed it."""

    value: float | None
    low: float | None
    high: float | None
    note: str | None


@dataclass(frozen=True)
class Evidence:
    """One model's verdict and the figures behind it (dB; None where there is nothing to say)."""

    model: str
    verdict: Verdict
    reason: str
    intact_db: float | None = None
    phase_only_db: float | None = None
    magnitude_only_db: float | None = None
    at: Point | None = None
    null_band: tuple[float, float] | None = None
    n_twins: int = 0
    detected: int = 0
    cells: int = 0
    unmasking: float | None = None
    reversal: float | None = None


def verdicts(scores: Sequence[Score], task: str = "bmld") -> list[Evidence]:
    """One :class:`Evidence` per model (random-weight twins are evidence for the others and get their own line too)."""
    own = [s for s in scores if parse_spec(s.task).name == task]
    curves = _curves(own)
    models = list(dict.fromkeys(s.model for s in own if s.metric == "delta_bmld_db"))
    blind = curves.get((_full_name(models, PHASE_BLIND), "intact"), {})
    blind_phase = curves.get((_full_name(models, PHASE_BLIND), "phase-only"), {})
    return [_judge(m, models, curves, blind, blind_phase, own) for m in models]


def _full_name(models: Iterable[str], name: str) -> str:
    return next((m for m in models if parse_spec(m).name == name), name)


def _curves(scores: Iterable[Score]) -> dict[tuple[str, str], dict[Point, Cell]]:
    """Where a point was measured in several grids, the one with the most seeds counts."""
    curves: dict[tuple[str, str], dict[Point, Cell]] = {}
    for s in sorted(scores, key=lambda s: s.n):
        if s.metric == "delta_bmld_db" and "frequency_hz" in s.factors:
            point = (float(s.factors["frequency_hz"]), float(s.factors["snr_db"]))
            cell = Cell(s.value, s.ci_low, s.ci_high, s.note)
            curves.setdefault((s.model, s.condition), {})[point] = cell
    return curves


def _judge(
    model: str,
    models: Sequence[str],
    curves: Mapping[tuple[str, str], Mapping[Point, Cell]],
    blind: Mapping[Point, Cell],
    blind_phase: Mapping[Point, Cell],
    scores: Sequence[Score],
) -> Evidence:
    intact = curves.get((model, "intact"), {})
    low = {p: c for p, c in intact.items() if p[0] <= LOW_FREQUENCY_HZ}
    seen = {p: c for p, c in low.items() if c.value is not None}
    band, n_twins = null_band(model, models, curves)
    shares = {s.metric: s.value for s in scores if s.model == model and s.condition == "intact" and not s.factors}
    facts: dict[str, Any] = {
        "model": model,
        "null_band": band,
        "n_twins": n_twins,
        "detected": len(seen),
        "cells": len(low),
        "unmasking": shares.get("unmasking_share"),
        "reversal": shares.get("reversal_share"),
    }
    if not seen:
        why = next((c.note for c in low.values() if c.note), "nothing was run at or below 1 kHz")
        return Evidence(verdict="undefined", reason=why or "", **facts)
    ceiling = max(MARGIN_DB, band[1] if band else MARGIN_DB)
    phase = {p: c for p, c in curves.get((model, "phase-only"), {}).items() if p in seen and c.value is not None}
    magnitude = {
        p: c for p, c in curves.get((model, "magnitude-only"), {}).items() if p in seen and c.value is not None
    }
    nu = curves.get((model, "nu-masker"), {})
    rivals = {p: max(ceiling, _top(blind_phase.get(p)), _top(nu.get(p))) for p in phase}
    wins = {p: c for p, c in phase.items() if c.low is not None and c.low > rivals[p]}
    best = max(phase or seen, key=lambda p: seen[p].value or 0.0)  # where its cue can be told, if anywhere
    at = max(wins, key=lambda p: wins[p].value or 0.0) if wins else best
    facts |= {
        "at": at,
        "intact_db": seen[at].value,
        "phase_only_db": phase[at].value if at in phase else None,
        "magnitude_only_db": magnitude[at].value if at in magnitude else None,
    }
    if wins:
        return Evidence(
            verdict="phase",
            reason=f"the phase-only hybrid keeps an effect at {len(wins)} of {len(phase)} points",
            **facts,
        )
    above = {p: c for p, c in seen.items() if c.low is not None and c.low > ceiling}
    below = {p: c for p, c in seen.items() if c.high is not None and c.high < -ceiling}
    alone = [p for p in (*above, *below) if _as_without_binaural_cue(seen[p], nu.get(p))]
    if alone and len(alone) == sum(p in nu for p in (*above, *below)):
        return Evidence(
            verdict="none",
            reason="the effect is as large with independent noises: single ears show it, not their relation",
            **facts,
        )
    if above or below:
        if not phase:
            beyond = {p for p in above if (above[p].low or 0.0) > _top(blind.get(p))}
            if beyond:
                return Evidence(
                    verdict="unresolved", reason="an effect, and no hybrids were run to tell its cue", **facts
                )
            return Evidence(
                verdict="magnitude texture",
                reason="an effect no larger than a phase-blind front end shows (no hybrids were run)",
                **facts,
            )
        kind = "unmasking" if above else "reversal"
        return Evidence(
            verdict="magnitude texture",
            reason=f"{kind} at {len(above) + len(below)} of {len(seen)} points, and phase alone keeps it at none of "
            f"the {len(phase)} where that was run",
            **facts,
        )
    inside = [
        c for c in seen.values() if c.low is not None and c.high is not None and -ceiling < c.low and c.high < ceiling
    ]
    if len(inside) == len(seen):
        limit = "the null band of its random-weight twins" if band and band[1] > MARGIN_DB else f"+/- {MARGIN_DB:g} dB"
        return Evidence(verdict="none", reason=f"every detected point lies inside {limit}", **facts)
    wide = len(seen) - len(inside)
    return Evidence(
        verdict="unresolved", reason=f"{wide} of {len(seen)} intervals are too wide to call; run more seeds", **facts
    )


def _as_without_binaural_cue(intact: Cell, nu: Cell | None) -> bool:
    """Whether independent noises give the same value, within the margin or the interval of theirs."""
    if nu is None or nu.value is None or intact.value is None or nu.low is None or nu.high is None:
        return False
    return nu.low - MARGIN_DB <= intact.value <= nu.high + MARGIN_DB and abs(nu.value) > MARGIN_DB


def _top(cell: Cell | None) -> float:
    return -np.inf if cell is None or cell.high is None else cell.high


def null_band(
    model: str, models: Sequence[str], curves: Mapping[tuple[str, str], Mapping[Point, Cell]]
) -> tuple[tuple[float, float] | None, int]:
    """2.5 to 97.5 % range (dB) of the gated means of the model's random-weight twins, and how many twins."""
    spec = parse_spec(model)
    base = spec.without("init", "seed")
    twins = [
        m
        for m in models
        if m != model and parse_spec(m).params.get("init") == "random" and parse_spec(m).without("init", "seed") == base
    ]
    values = [
        c.value
        for m in twins
        for p, c in curves.get((m, "intact"), {}).items()
        if c.value is not None and p[0] <= LOW_FREQUENCY_HZ
    ]
    if not values:
        return None, len(twins)
    low, high = np.percentile(values, [2.5, 97.5])
    return (float(low), float(high)), len(twins)
