"""When do self-attention maps stop changing? Entropy and drift of every layer and head over flow time.

Entropy: ``H = mean over rows of -sum_j P log P / log n``, so that length drops out (normalisation ours). Drift: mean
total variation ``0.5 sum_j |P(s) - P(s-1)|`` between consecutive evaluations, because entropy is blind to a map that
moves while keeping its spread. After arXiv 2606.10046 as third parties describe it (fact sheet, section 7.2).

Streaming: of every layer only the last queries and keys are kept ``[H, T, d]``; maps are made block by block of rows
and thrown away, and the network's own fused attention stays in force. No ``T x T`` map is ever stored.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from otoscope.core import clock
from otoscope.core.errors import InputError, ModelError
from otoscope.core.sites import SiteMap
from otoscope.interventions.hooks import Action, Observe, places

#: Rows of a map that exist at once.
ROWS = 128
Float = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Convergence:
    """``entropy`` and ``drift`` ``[items, evaluations, layers, heads]`` at flow ``times`` ``[evaluations]``; the first
    evaluation has no drift (zero)."""

    times: Float
    entropy: Float
    drift: Float

    def to_json(self) -> dict[str, Any]:
        """Means over items, and how many there were."""
        return {
            "times": self.times.tolist(),
            "n_items": len(self.entropy),
            "entropy": np.round(self.entropy.mean(0), 6).tolist(),
            "drift": np.round(self.drift.mean(0), 6).tolist(),
        }

    @classmethod
    def from_json(cls, data: Any) -> Convergence:
        """The inverse of :meth:`to_json`, as one item. Raises :class:`InputError`."""
        try:
            times = np.asarray(data["times"], dtype=float)
            entropy, drift = (np.asarray(data[k], dtype=float)[None] for k in ("entropy", "drift"))
        except (KeyError, TypeError, ValueError) as e:
            raise InputError(f"is no convergence profile: {e}") from e
        if entropy.ndim != 4 or entropy.shape != drift.shape or entropy.shape[1] != len(times):
            raise InputError(f"entropy {entropy.shape[1:]} and drift {drift.shape[1:]} do not fit {len(times)} times")
        return cls(times, entropy, drift)


@dataclass
class Meter:
    """Watches the self-attention of every layer; :meth:`close_item` after each solve."""

    layers: int
    _times: list[float] = field(default_factory=list)
    _rows: dict[tuple[int, int], tuple[list[float], list[float]]] = field(default_factory=dict)
    _now: dict[int, Tensor] = field(default_factory=dict)
    _last: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)
    _items: list[tuple[list[float], Float, Float]] = field(default_factory=list)

    def actions(self, sites: SiteMap) -> list[Action]:
        """Observers of queries and keys."""
        found: list[Action] = []
        for layer in range(self.layers):
            found.append(Observe(places(sites, "self_q", layer)[0], self._query(layer)))
            found.append(Observe(places(sites, "self_k", layer)[0], self._key(layer)))
        return found

    def close_item(self) -> None:
        """One solve is complete."""
        n = len(self._times)
        if not n or len(self._rows) != n * self.layers:
            raise ModelError(f"the solve showed {len(self._rows)} maps in {n} evaluations of {self.layers} layers")
        table = [[self._rows[s, layer] for layer in range(self.layers)] for s in range(n)]
        entropy, drift = (np.array([[cell[i] for cell in row] for row in table]) for i in (0, 1))
        self._items.append((self._times, entropy, drift))
        self._times, self._rows, self._now, self._last = [], {}, {}, {}

    def result(self) -> Convergence:
        """All items. Raises :class:`ModelError` where their solves had different times."""
        if not self._items:
            raise ModelError("no solve was watched")
        times = self._items[0][0]
        if any(not np.allclose(times, other, atol=1e-6) for other, _, _ in self._items):
            raise ModelError(
                "the watched solves evaluate at different flow times", fix="Use one solver and step count."
            )
        return Convergence(
            np.array(times), np.stack([e for _, e, _ in self._items]), np.stack([d for _, _, d in self._items])
        )

    def _query(self, layer: int) -> Any:
        def see(query: Tensor) -> None:
            if layer == 0:
                time = clock.now().time
                if time is None:
                    raise ModelError("flow time is not known here")
                self._times.append(time)
            self._now[layer] = query.detach()

        return see

    def _key(self, layer: int) -> Any:
        def see(key: Tensor) -> None:
            query = self._now.pop(layer)
            if len(query) != 1:
                raise ModelError(f"convergence is measured at batch 1, not {len(query)}")
            self._rows[len(self._times) - 1, layer] = spread_and_drift(query[0], key[0], self._last.get(layer))
            self._last[layer] = (query[0], key[0])

        return see


def spread_and_drift(
    query: Tensor, key: Tensor, before: tuple[Tensor, Tensor] | None
) -> tuple[list[float], list[float]]:
    """Per head, the entropy of the map of ``query`` and ``key`` ``[H, T, d]``, and its total variation from the map of
    ``before`` (None: zero)."""
    scale = 1 / math.sqrt(query.shape[-1])
    n_rows, n = query.shape[1], key.shape[1]
    entropy = query.new_zeros(query.shape[0], dtype=None).double()
    drift = entropy.clone()
    for start in range(0, n_rows, ROWS):
        rows = slice(start, start + ROWS)
        log_p = ((query[:, rows] @ key.mT).float() * scale).log_softmax(-1)
        p = log_p.exp()
        entropy += -(p * log_p).sum((1, 2)).double()
        if before is not None:
            old = ((before[0][:, rows] @ before[1].mT).float() * scale).softmax(-1)
            drift += 0.5 * (p - old).abs().sum((1, 2)).double()
    return (entropy / n_rows / math.log(max(n, 2))).tolist(), (drift / n_rows).tolist()


# --- stable or fast -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Classified:
    """Per layer: the flow time from which it moves no more than the threshold, by entropy and by drift, and whether
    that is early (stable). ``disagree``: layers that the two measures call differently."""

    settles_entropy: tuple[float, ...]
    settles_drift: tuple[float, ...]
    stable: tuple[int, ...]
    disagree: tuple[int, ...]


def classify(found: Convergence, *, quantile: float = 0.75, early: float = 0.25) -> Classified:
    """The rule (ours where the paper's is unknown): a layer settles at the first evaluation after which its rate never
    exceeds ``tau``; ``tau`` is the ``quantile`` of all layers' rates, since their scale differs between checkpoints. A
    layer is stable if, by entropy, it settles at flow time ``early`` or before. Rates are ``|H(s) - H(s-1)|`` and the
    drift, as means over items and heads, at evaluations after the first."""
    entropy = np.abs(np.diff(found.entropy.mean((0, 3)), axis=0))
    drift = found.drift.mean((0, 3))[1:]
    settles = [_settling(rates, found.times, quantile) for rates in (entropy, drift)]
    stable = [tuple(i for i, t in enumerate(s) if t <= early + 1e-6) for s in settles]
    return Classified(tuple(settles[0]), tuple(settles[1]), stable[0], tuple(sorted(set(stable[0]) ^ set(stable[1]))))


def _settling(rates: Float, times: Float, quantile: float) -> list[float]:
    tau = float(np.quantile(rates, quantile))
    found = []
    for one in rates.T:
        above = np.flatnonzero(one > tau)
        found.append(float(times[0 if not len(above) else above[-1] + 1]))
    return found


def layer_drift(found: Convergence) -> Float:
    """Mean drift ``[evaluations, layers]`` over items and heads."""
    return np.asarray(found.drift.mean((0, 3)))


def rank_calm(found: Convergence, layers: Sequence[int], after: float) -> list[int]:
    """``layers`` from the calmest: by summed drift after flow time ``after``."""
    drift = layer_drift(found)[found.times > after + 1e-6].sum(0)
    return sorted(layers, key=lambda i: (float(drift[i]), i))
