"""Thresholds and threshold BMLDs from the learned listener's choices.

Seeds are resampled jointly over SNRs and configurations, every resample is refitted, and a threshold outside the
tested range stays a bound through the difference (see ``otoscope.stats.thresholds``).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from otoscope.results.scoring import Columns, Estimate, Measure
from otoscope.stats.bounds import BoundedInterval
from otoscope.stats.thresholds import ThresholdBootstrap, threshold_bootstrap

_SEED = 2606
N_RESAMPLES = 1000


def threshold_measures(configurations: Sequence[str], reference: str, target: float) -> list[Measure]:
    """Accuracy per point, the permutation null, thresholds, and BMLDs against ``reference``."""
    point = ("frequency_hz", "configuration", "snr_db", "layer")
    curve = ("frequency_hz", "configuration", "layer")
    return [
        Measure("accuracy", point, ("correct",), "mean", doc="share of held-out pairs in which the tone was found"),
        Measure(
            "null_accuracy",
            curve,
            ("correct_null",),
            _null,
            gives_interval=True,
            doc="the same after permuting training labels, which should give 0.5; the interval is over points",
        ),
        Measure(
            "threshold_db",
            curve,
            ("correct",),
            partial(_threshold, target),
            gives_interval=True,
            unit="dB SNR",
            doc=f"SNR at {100 * target:g} % correct",
        ),
        *(
            Measure(
                "bmld_threshold_db",
                ("frequency_hz", "layer"),
                ("correct",),
                partial(_difference, target, reference, c),
                gives_interval=True,
                unit="dB",
                doc=f"threshold of {reference} minus threshold of {c}: a BMLD in the psychoacoustic sense",
                factors={"configuration": c},
            )
            for c in configurations
            if c != reference
        ),
    ]


def _null(c: Columns) -> Estimate:
    """Mean over the SNR points, with a t interval over them: the flips, not the seeds, make it vary."""
    _, point = np.unique(c["snr_db"], return_inverse=True)
    means = np.bincount(point, c["correct_null"]) / np.bincount(point)
    if len(means) < 2:
        return Estimate(float(means.mean()), note="one point has no spread")
    half = float(student.isf(0.025, len(means) - 1) * means.std(ddof=1) / np.sqrt(len(means)))
    return Estimate(float(means.mean()), float(means.mean()) - half, float(means.mean()) + half)


def _threshold(target: float, c: Columns) -> Estimate:
    (name,) = set(c["configuration"].tolist())
    return _estimate(_bootstrap(c, [name], target).interval(name))


def _difference(target: float, reference: str, name: str, c: Columns) -> Estimate:
    found = set(c["configuration"].tolist())
    missing = {reference, name} - found
    if missing:
        return Estimate(None, note=f"no trials of {', '.join(sorted(missing))}")
    return _estimate(_bootstrap(c, [reference, name], target).difference(reference, name))


def _bootstrap(c: Columns, names: Sequence[str], target: float) -> ThresholdBootstrap:
    """Outcome tables ``[seeds, SNRs]`` per configuration, NaN where a seed was not tested at a level."""
    seeds, row = np.unique(c.groups, return_inverse=True)
    levels: dict[str, NDArray[np.float64]] = {}
    tables: dict[str, NDArray[np.float64]] = {}
    for name in names:
        mine = c["configuration"] == name
        levels[name], column = np.unique(c["snr_db"][mine].astype(np.float64), return_inverse=True)
        total, count = np.zeros((2, len(seeds), len(levels[name])))
        np.add.at(total, (row[mine], column), c["correct"][mine])
        np.add.at(count, (row[mine], column), 1.0)
        tables[name] = np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
    return threshold_bootstrap(levels, tables, n_resamples=N_RESAMPLES, seed=_SEED, target=target)


def _estimate(found: BoundedInterval) -> Estimate:
    note = getattr(found, "note", None) or None
    return Estimate(found.value, found.low, found.high, bound=found.bound, note=note)  # type: ignore[arg-type]
