"""The distance ratio of the BMLD benchmark (arXiv 2606.14820, eq. 1), with what is needed to trust it.

    delta = 20 log10( ||z(SpiN0) - z(N0)|| / ||z(S0N0) - z(N0)|| )

``z`` are pooled embeddings. The ratio has no scale, so every distance is stored with the two lengths that give it one:
the distance between two passes over the same sound (numeric floor), and the distance between two noises (natural
variation). The ratio and eq. 1 are the paper's; floor, variation and gates are ours.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from otoscope.core.errors import UsageError
from otoscope.core.items import Factor
from otoscope.core.nouns import Row

#: Distances below this many numeric floors are noise (ours).
FLOOR_FACTOR = 20.0
#: Distances below this share of the natural variation between noises count as "not detected" (ours).
DETECTION = 0.1
#: A distance below this share of the natural variation is nothing to divide by or to divide (ours).
NOTHING = 0.02

Vector = NDArray[np.float32]


def distance(a: Vector, b: Vector, kind: str = "euclidean") -> float:
    """Distance of two vectors ``[D]`` in float64: ``euclidean`` (the paper's) or ``cosine`` (1 - cos)."""
    x, y = a.astype(np.float64), b.astype(np.float64)
    if kind == "euclidean":
        return float(np.linalg.norm(x - y))
    if kind == "cosine":
        norm = float(np.linalg.norm(x) * np.linalg.norm(y))
        return 0.0 if norm == 0.0 else max(0.0, 1.0 - float(x @ y) / norm)
    raise UsageError(f"there is no distance {kind!r}", fix="Use euclidean or cosine.")


def triplet_rows(
    n0: Vector,
    s0: Vector,
    spi: Vector,
    other_n0: Vector,
    again: Vector,
    *,
    kind: str,
    factors: Mapping[str, Factor],
    ratio: str,
) -> list[Row]:
    """Rows of one triplet: ``d_pi``, ``d_0``, ``d_n0`` (to another noise), ``d_floor``, ``z_norm``, and the ratio under
    the name ``ratio``.

    ``d_floor`` is the larger of the repeat distance and float32 rounding of the embedding's own length: a deterministic
    model repeats itself exactly and still cannot resolve less than rounding.
    """
    norm = float(np.linalg.norm(n0.astype(np.float64)))
    rounding = float(np.finfo(np.float32).eps) * (norm if kind == "euclidean" else 1.0)
    d = {
        "d_pi": distance(spi, n0, kind),
        "d_0": distance(s0, n0, kind),
        "d_n0": distance(other_n0, n0, kind),
        "d_floor": max(distance(again, n0, kind), rounding),
        "z_norm": norm,
    }
    rows = [Row(metric, value, factors) for metric, value in d.items()]
    value = ratio_db(d["d_pi"], d["d_0"])
    if value is None:
        note = f"the ratio of {d['d_pi']:.3g} to {d['d_0']:.3g} has no logarithm"
        return [*rows, Row(ratio, None, factors, status="undefined", note=note)]
    return [*rows, Row(ratio, value, factors)]


def ratio_db(d_pi: float, d_0: float) -> float | None:
    """20 log10(d_pi / d_0) in dB; None where either distance is 0."""
    if d_pi == 0.0 or d_0 == 0.0:
        return None
    return 20.0 * (math.log10(d_pi) - math.log10(d_0))


def gate(
    d_pi: NDArray[np.float64], d_0: NDArray[np.float64], d_n0: NDArray[np.float64], floor: NDArray[np.float64]
) -> str:
    """``ok``, ``floor``, ``undetected`` or ``lopsided`` for the seeds of one cell (arrays ``[n]``, same order).

    ``floor``: the RMS of either distance is below FLOOR_FACTOR numeric floors, so the ratio is rounding noise.
    ``undetected``: neither distance reaches DETECTION of the natural variation, so there is nothing to compare.
    ``lopsided``: one of them is below NOTHING of it, so the ratio measures how small nothing is (a steep high-pass).
    """
    rms_floor = _rms(floor)
    if min(_rms(d_pi), _rms(d_0)) < FLOOR_FACTOR * rms_floor:
        return "floor"
    variation = _rms(d_n0)
    if max(_rms(d_pi), _rms(d_0)) < DETECTION * variation:
        return "undetected"
    if min(_rms(d_pi), _rms(d_0)) < NOTHING * variation:
        return "lopsided"
    return "ok"


def _rms(x: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(np.square(x)))) if len(x) else math.nan
