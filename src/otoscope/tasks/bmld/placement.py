"""Adaptive placement: where the second round of thresholds is measured, from the rows of the first."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from otoscope.stats.psychometric import fit_psychometric

#: SNRs around the coarse threshold, in dB.
AROUND = (-6.0, -3.0, 0.0, 3.0, 6.0)
#: SNRs beyond the end of the coarse grid where the threshold lies outside it, in dB outwards.
BEYOND = (0.0, 3.0, 6.0, 9.0, 12.0)


def place(rows: Any, coarse: Sequence[float], target: float) -> Mapping[tuple[float, str], tuple[float, ...]]:
    """Per (frequency, configuration): the SNRs (dB, whole) of the second round.

    ``rows`` is the store's table of this cell; the ``correct`` rows of round 0 are pooled over layers, so that all
    layers of one model are measured with the same items. A pure function of the rows.
    """
    counts: dict[tuple[float, str], dict[float, list[float]]] = {}
    table = rows.select(["metric", "value", "factors"]).to_pylist()
    for row in table:
        if row["metric"] != "correct" or row["value"] is None:
            continue
        f = json.loads(row["factors"])
        if f["round"] == 0:
            point = counts.setdefault((f["frequency_hz"], f["configuration"]), {})
            point.setdefault(float(f["snr_db"]), []).append(row["value"])
    return {key: _snrs(by_snr, coarse, target) for key, by_snr in sorted(counts.items())}


def _snrs(by_snr: Mapping[float, Sequence[float]], coarse: Sequence[float], target: float) -> tuple[float, ...]:
    x = np.array(sorted(by_snr))
    k = np.array([np.sum(by_snr[s]) for s in x])
    n = np.array([len(by_snr[s]) for s in x])
    fit = fit_psychometric(x, k, n, target=target)
    if fit.bound == "<":
        return tuple(sorted(min(coarse) - d for d in BEYOND))
    if fit.bound == ">":
        return tuple(max(coarse) + d for d in BEYOND)
    if fit.status == "undefined":
        return tuple(sorted(coarse))  # nothing to go by: the coarse grid once more, with the larger number of seeds
    return tuple(float(round(fit.threshold)) + d for d in AROUND)
