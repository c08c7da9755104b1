"""Does the order of models survive another choice of weights and scale? Ours.

Every order is over the tasks that all models have. Weights: X-ARES', all alike, domains alike; then each task left out
in turn, and weights drawn at random (uniform on the simplex: any weighting is as likely as any other). An order that
holds only under one choice is a choice, not a finding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau, rankdata

from otoscope.core.errors import UsageError
from otoscope.tasks.probes.averages import Point
from otoscope.tasks.probes.normalise import Identity, Normaliser, normalised

DRAWS = 10_000
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Order:
    """One choice: ``ranks`` by model (1 is best, ties share their mean rank). ``agreement`` is Kendall's tau with the
    first choice of the list, None where either order is all ties. ``left_out`` tasks have no such scale."""

    weighting: str
    scale: str
    ranks: Mapping[str, float]
    agreement: float | None
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class Standing:
    """A model over all choices: its best and worst rank among the named ones and with a task left out, and the share
    of random weightings (scores as they are) that put it first."""

    model: str
    best: float
    worst: float
    first: float


@dataclass(frozen=True)
class Stability:
    """``tasks`` are those that all models have; ``n_draws`` random weightings."""

    orders: tuple[Order, ...]
    standings: tuple[Standing, ...]
    tasks: tuple[str, ...]
    n_draws: int


def rank_stability(
    models: Mapping[str, Sequence[Point]],
    scales: Sequence[Normaliser] = (Identity(),),
    *,
    seed: int = 0,
    n_draws: int = DRAWS,
) -> Stability:
    """Orders of ``models`` under every weighting and scale. Raises :class:`UsageError` where fewer than two models, or
    no task that all have, are given."""
    if len(models) < 2:
        raise UsageError(f"an order needs two models or more, got {len(models)}")
    names = list(models)
    per = {m: {p.task: p for p in models[m] if p.value is not None} for m in names}
    tasks = [t for t in per[names[0]] if all(t in found for found in per.values())]
    if not tasks:
        raise UsageError("no task has a score of every model", where=", ".join(names))
    orders: list[Order] = []
    all_ranks: list[Floats] = []
    for scale in scales:
        on = {m: {p.task: p for p in normalised([per[m][t] for t in tasks], scale)} for m in names}
        kept = [t for t in tasks if all(on[m][t].value is not None for m in names)]
        if not kept:
            continue
        s = np.array([[on[m][t].value for t in kept] for m in names], dtype=np.float64)
        points = [per[names[0]][t] for t in kept]
        for weighting, w in _weightings(points).items():
            ranks = _ranks(s @ w)
            agreement = _tau(all_ranks[0], ranks) if all_ranks else 1.0
            all_ranks.append(ranks)
            left_out = tuple(t for t in tasks if t not in kept)
            orders.append(
                Order(weighting, scale.name, dict(zip(names, ranks.tolist(), strict=True)), agreement, left_out)
            )
        if len(kept) > 1:
            w = _weightings(points)["weighted"]
            all_ranks += [_ranks(s @ np.where(np.arange(len(kept)) == k, 0.0, w)) for k in range(len(kept))]
    raw = np.array([[per[m][t].value for t in tasks] for m in names], dtype=np.float64)
    drawn = np.random.default_rng(seed).dirichlet(np.ones(len(tasks)), n_draws) @ raw.T  # [draws, models]
    top = drawn == drawn.max(axis=1, keepdims=True)
    first = (top / top.sum(axis=1, keepdims=True)).mean(axis=0)
    ranks = np.stack(all_ranks)
    standings = tuple(
        Standing(m, float(ranks[:, i].min()), float(ranks[:, i].max()), float(first[i])) for i, m in enumerate(names)
    )
    return Stability(tuple(orders), standings, tuple(tasks), n_draws)


def _weightings(points: Sequence[Point]) -> dict[str, Floats]:
    own = np.array([p.weight for p in points], dtype=np.float64)
    n = {p.domain: sum(q.domain == p.domain for q in points) for p in points}
    alike = np.ones(len(points))
    domains = np.array([1.0 / n[p.domain] for p in points])
    return {"weighted": own, "macro": alike, "domains": domains}


def _ranks(values: Floats) -> Floats:
    # Sums in another order must not break a tie.
    return np.asarray(rankdata(-np.round(values / max(np.abs(values).max(), 1e-300), 12)), dtype=np.float64)


def _tau(a: Floats, b: Floats) -> float | None:
    found = float(kendalltau(a, b).statistic)
    return found if np.isfinite(found) else None
