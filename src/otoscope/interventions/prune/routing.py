"""HeadRouter's profiles and its soft routing (arXiv 2604.23717; kernel confirmed, the rest as the fact sheet reads it).

A profile holds, per family of tasks ``k`` (semantic, acoustic, mixed), head weights ``w^(k)`` (0 or more, sum 1) and a
centre ``mu_k`` of the routing signal ``s = (mean_h s_h, std_h s_h)``, standardised over the calibration items. Routing:
``alpha_k`` is the softmax of ``-|s - mu_k|^2 / 2 sigma^2``, in the log domain. Farther from every centre than the
calibration items ever were (their ``far`` quantile), the weights are uniform, and the report says so (ours).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otoscope.core.errors import InputError, UsageError
from otoscope.interventions.profiled import read_json

SEMANTIC, ACOUSTIC, MIXED = "semantic", "acoustic", "mixed"
#: Calibration items' distance to their nearest centre, above which an input counts as far away.
FAR = 0.99
#: The share of heads that keep weight in a profile ("a sparse subset"; the share is ours).
TOP = 0.5
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Shape:
    """What a profile must agree on with a model: decoder layers, query heads, and the layer that prunes."""

    layers: int
    heads: int
    layer: int


@dataclass(frozen=True)
class Profile:
    """See the module. ``about`` says where it comes from (model, items, kind, date)."""

    shape: Shape
    weights: Mapping[str, Sequence[float]]
    centres: Mapping[str, Sequence[float]]
    mean: Sequence[float]
    deviation: Sequence[float]
    sigma: float
    far: float
    about: Mapping[str, Any] = field(default_factory=dict)

    def check(self, shape: Shape, where: str) -> None:
        """Raise :class:`UsageError` unless it was made for a model of this ``shape``."""
        if self.shape != shape:
            raise UsageError(
                f"the profile is for {_said(self.shape)}, the model has {_said(shape)}",
                where=where,
                fix="Fit a profile on this model, at this layer.",
            )

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Any, where: str = "profile") -> Profile:
        """Raises :class:`InputError` on what is no profile."""
        try:
            found = cls(**{**data, "shape": Shape(**data["shape"])})
            ok = set(found.weights) == set(found.centres) != set() and all(
                len(w) == found.shape.heads and min(w) >= 0 and abs(sum(w) - 1) < 1e-6 for w in found.weights.values()
            )
        except (KeyError, TypeError, ValueError) as e:
            raise InputError(f"is no head profile: {e}", where=where) from e
        if not ok or found.sigma <= 0:
            raise InputError("is no head profile: weights must be shares of the shape's heads", where=where)
        return found

    @classmethod
    def read(cls, path: str) -> Profile:
        """A JSON file. Raises :class:`InputError`."""
        return cls.from_json(read_json(path), path)

    def write(self, path: str | Path) -> None:
        """As a JSON file, which :meth:`read` and ``profile=`` take."""
        Path(path).write_text(json.dumps(self.to_json(), indent=1, sort_keys=True) + "\n", encoding="utf-8")


@dataclass(frozen=True)
class Routed:
    """``alpha`` by family; the ``nearest`` and its ``distance`` in standardised units; ``far``: none is near."""

    alpha: Mapping[str, float]
    nearest: str
    distance: float
    far: bool


def signal(selectivity: Floats) -> Floats:
    """``(mean, standard deviation)`` over heads ``[..., H]`` -> ``[..., 2]``."""
    return np.stack([selectivity.mean(-1), selectivity.std(-1)], -1)


def route(profile: Profile, selectivity: Floats) -> Routed:
    """Where one input belongs, by its heads' selectivity ``[H]``."""
    names = list(profile.centres)
    s = (signal(selectivity) - np.asarray(profile.mean)) / np.asarray(profile.deviation)
    distances = np.array([np.linalg.norm(s - np.asarray(profile.centres[n])) for n in names])
    logit = -(distances**2) / (2 * profile.sigma**2)
    alpha = np.exp(logit - logit.max())
    alpha /= alpha.sum()
    i = int(distances.argmin())
    return Routed(
        dict(zip(names, alpha.tolist(), strict=True)), names[i], float(distances[i]), distances[i] > profile.far
    )


def build(
    observed: Mapping[str, Sequence[tuple[Floats, Floats]]],
    shape: Shape,
    about: Mapping[str, Any],
    top: float = TOP,
    weights: Mapping[str, Floats] | None = None,
) -> Profile:
    """A profile from calibration items by family: of each its heads' selectivity and responsiveness ``[H]``.

    Of a statistic profile, ``w_h`` is proportional to the family's mean of ``s_h m_h``, zero outside the best ``top``
    of heads; others bring their ``weights`` by family. ``mixed`` is the mean of the others where it has no items of its
    own. ``sigma`` is half the median distance between centres. Raises :class:`InputError` where a family lacks items.
    """
    for name in (SEMANTIC, ACOUSTIC):
        if not observed.get(name):
            raise InputError(f"has no calibration items of the family {name!r}", where="headrouter")
    weights = dict(weights or {n: _weights(items, top) for n, items in observed.items()})
    raw = {n: signal(np.stack([s for s, _ in items])) for n, items in observed.items()}
    stacked = np.concatenate(list(raw.values()))
    mean, deviation = stacked.mean(0), stacked.std(0)
    deviation = np.where(deviation > 1e-9, deviation, 1.0)
    scaled = {n: (x - mean) / deviation for n, x in raw.items()}
    centres = {n: x.mean(0) for n, x in scaled.items()}
    if MIXED not in weights:
        weights[MIXED] = (weights[SEMANTIC] + weights[ACOUSTIC]) / 2
        centres[MIXED] = (centres[SEMANTIC] + centres[ACOUSTIC]) / 2
    at = np.stack(list(centres.values()))
    between = np.linalg.norm(at[:, None] - at[None], axis=-1)[np.triu_indices(len(at), 1)]
    sigma = float(np.median(between) / 2) or 1.0
    nearest = np.linalg.norm(np.concatenate(list(scaled.values()))[:, None] - at[None], axis=-1).min(1)
    as_lists = lambda by: {n: x.tolist() for n, x in by.items()}  # noqa: E731
    far = float(np.quantile(nearest, FAR))
    return Profile(shape, as_lists(weights), as_lists(centres), mean.tolist(), deviation.tolist(), sigma, far, about)


def _weights(items: Sequence[tuple[Floats, Floats]], top: float) -> Floats:
    value = np.mean([s * m for s, m in items], axis=0)
    n = max(1, round(top * len(value)))
    kept = np.zeros_like(value)
    best = np.argsort(-value, kind="stable")[:n]
    kept[best] = np.maximum(value[best], 0)
    return kept / kept.sum() if kept.sum() > 0 else np.full_like(value, 1 / len(value))


def _said(shape: Shape) -> str:
    return f"{shape.layers} layers, {shape.heads} heads, pruning at layer {shape.layer}"
