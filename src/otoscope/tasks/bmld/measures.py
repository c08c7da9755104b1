"""How rows of triplets become scores: curves, gates, detection rates. Shared by tones and speech."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from otoscope.results.scoring import Columns, Estimate, Measure
from otoscope.stats.bootstrap import mean_intervals
from otoscope.stats.correction import benjamini_hochberg
from otoscope.stats.equivalence import tost
from otoscope.stats.permutation import sign_flip
from otoscope.stats.power import smallest_detectable_effect
from otoscope.tasks.bmld.metrics import gate
from otoscope.tasks.bmld.verdict import MARGIN_DB

RATIO = "delta_ungated_db"
DISTANCES = ("d_pi", "d_0", "d_n0", "d_floor")
#: False discovery rate of the detection counts (the paper's).
Q = 0.05
N_PERMUTATIONS = 10_000
_SEED = 2606

_WHY = {
    "floor": "below the numeric floor: the ratio is rounding noise",
    "undetected": "not detected: both distances are under a tenth of the variation between noises",
    "lopsided": "one distance is under a fiftieth of the variation between noises: a ratio to nothing",
}


def curve_measures(cell: Sequence[str]) -> list[Measure]:
    """Scores for each combination of the ``cell`` factors (``frequency_hz``, ``snr_db``; or ``room``, ``snr_db``)."""
    by = (*cell, "layer")
    every = (RATIO, *DISTANCES)
    return [
        Measure(RATIO, by, (RATIO,), "mean", unit="dB", doc="the paper's ratio (eq. 1), mean over seeds, no gate"),
        Measure(
            "delta_bmld_db",
            by,
            every,
            _gated_mean,
            gives_interval=True,
            unit="dB",
            doc="the same, undefined where the floor or the detection gate closes it",
        ),
        *(
            Measure(
                name,
                by,
                (column, "d_n0"),
                partial(_relative, column),
                gives_interval=True,
                doc=f"{column} over the variation between noises",
            )
            for name, column in (("detect_pi", "d_pi"), ("detect_0", "d_0"))
        ),
        Measure(
            "delta_p",
            by,
            (RATIO,),
            _sign_flip_p,
            gives_interval=True,
            doc="two-sided sign-flip p of the ratio against 0 dB, uncorrected",
        ),
    ]


def summary_measures(cell: Sequence[str], across: str) -> list[Measure]:
    """Scores over all cells, and by ``across`` alone."""
    by = (across, "layer")
    every = (RATIO, *DISTANCES)
    shares = [
        Measure(
            f"{kind}_share{suffix}",
            ("layer",),
            every,
            partial(_share, tuple(cell), kind, gated),
            gives_interval=True,
            doc=f"share of cells with significant {kind} (BH, q < {Q:g}){note}",
        )
        for kind in ("unmasking", "reversal")
        for suffix, gated, note in (("", True, ""), ("_ungated", False, ", gates ignored, as the paper counts"))
    ]
    return [
        Measure("delta_mean_ungated_db", by, (RATIO,), "mean", unit="dB", doc=f"the ratio averaged by {across}"),
        Measure(
            "delta_tost_p",
            by,
            (RATIO,),
            _tost_p,
            gives_interval=True,
            doc=f"equivalence to 0 within +/- {MARGIN_DB:g} dB (two one-sided tests, seeds as units)",
        ),
        Measure(
            "smallest_detectable_db",
            by,
            (RATIO,),
            _smallest,
            gives_interval=True,
            unit="dB",
            doc="the effect that this many seeds find with power 0.8",
        ),
        *shares,
        Measure(
            "detected_share",
            ("layer",),
            every,
            partial(_share, tuple(cell), "detected", True),
            gives_interval=True,
            doc="share of cells that pass both gates",
        ),
    ]


def _gated_mean(c: Columns) -> Estimate:
    state = gate(c["d_pi"], c["d_0"], c["d_n0"], c["d_floor"])
    if state != "ok":
        return Estimate(None, note=_WHY[state])
    interval = mean_intervals(c[RATIO][None, :], c.groups, seed=_SEED)[0]
    return Estimate(interval.value, interval.low, interval.high, note=interval.note or None)


def _relative(name: str, c: Columns) -> Estimate:
    """Mean distance over the RMS variation between noises, the latter taken as known."""
    variation = float(np.sqrt(np.mean(c["d_n0"] ** 2)))
    if variation == 0.0:
        return Estimate(None, note="all noises give one embedding")
    interval = mean_intervals(c[name][None, :] / variation, c.groups, seed=_SEED)[0]
    return Estimate(interval.value, interval.low, interval.high, note=interval.note or None)


def _sign_flip_p(c: Columns) -> Estimate:
    return Estimate(sign_flip(c[RATIO], c.groups, n_permutations=N_PERMUTATIONS, seed=_SEED).p_value)


def _share(cell: tuple[str, ...], kind: str, gated: bool, c: Columns) -> Estimate:
    """Share of cells, found from the factors. The cells of one model share noise and are no independent replications,
    so the count is given as it is, without an interval."""
    where: dict[tuple[object, ...], list[int]] = {}
    for i, key in enumerate(zip(*(c[f].tolist() for f in cell), strict=True)):
        where.setdefault(key, []).append(i)
    picks = [np.asarray(w) for _, w in sorted(where.items())]
    open_ = np.array([gate(c["d_pi"][w], c["d_0"][w], c["d_n0"][w], c["d_floor"][w]) == "ok" for w in picks])
    note = f"of {len(picks)} cells"
    if kind == "detected":
        return Estimate(float(open_.mean()), note=note)
    flips = [sign_flip(c[RATIO][w], c.groups[w], n_permutations=N_PERMUTATIONS, seed=_SEED) for w in picks]
    p = benjamini_hochberg([f.p_value for f in flips])
    sign = np.sign([f.statistic for f in flips])
    hit = (p < Q) & (sign == (1 if kind == "unmasking" else -1))
    return Estimate(float((hit & open_ if gated else hit).mean()), note=note)


def _tost_p(c: Columns) -> Estimate:
    found = tost(c[RATIO], MARGIN_DB, c.groups)
    return Estimate(found.p_value, note=found.note or None)


def _smallest(c: Columns) -> Estimate:
    _, index = np.unique(c.groups, return_inverse=True)
    means = np.bincount(index, c[RATIO]) / np.bincount(index)
    if len(means) < 2:
        return Estimate(None, note="one seed has no spread")
    return Estimate(smallest_detectable_effect(len(means), float(means.std(ddof=1))))
