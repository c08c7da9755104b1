"""One class of many, or several at once, for a whole clip: the probes of ``readouts`` that give a score per class."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from otoscope.readouts.jackknife import map_shares
from otoscope.readouts.precision import mean_average_precision
from otoscope.readouts.probe import Metric, Probe, accuracy
from otoscope.tasks.probes.heads.data import Data, Head, Rows, Scored
from otoscope.tasks.probes.protocols import Protocol


class ClipHead:
    """A :class:`~otoscope.readouts.probe.Probe` on the clips of a collection."""

    def __init__(self, data: Data, probe: Probe) -> None:
        self._data, self._probe = data, probe
        self.name, self.needs = probe.name, probe.needs
        self.seeded, self.chooses = probe.seeded, probe.chooses

    def read(self, x: Any, train: Rows, valid: Rows | None, test: Rows, seed: int) -> Scored:
        data = self._data
        many = data.y.ndim == 2
        metric: Metric = mean_average_precision if many else accuracy
        held = None if valid is None else data.examples(x, valid)
        fitted = self._probe.fit(data.examples(x, train), held, metric, seed)
        scores = fitted.scores(x[test])
        mix = getattr(fitted, "layer_weights", None)
        if many:
            said = [json.dumps([float(f"{v:.6g}") for v in row]) for row in scores]
            return Scored(map_shares(scores, data.y[test]), said, layer_weights=mix)
        chosen = scores.argmax(axis=1)
        right = (chosen == data.y[test]).astype(np.float64)
        return Scored(right, [data.collection.classes[c] for c in chosen], right, mix)


def clip_heads(data: Data) -> list[Head]:
    """Those of the protocol that suit: kNN is left out where X-ARES leaves it out, or several classes may hold."""
    knn = data.collection.knn and data.y.ndim == 1
    names = [n for n in data.how.probe_names if knn or not n.startswith("knn")]
    return [ClipHead(data, make_probe(n, data, data.how)) for n in names]


def make_probe(name: str, data: Data, how: Protocol) -> Probe:
    """A probe by its name, trained as the task says (batch, epochs, rate) where it is X-ARES'."""
    from otoscope.readouts.attention import Attention
    from otoscope.readouts.knn import Knn
    from otoscope.readouts.layer_mix import LayerMix
    from otoscope.readouts.linear import Linear
    from otoscope.readouts.mlp import Mlp
    from otoscope.readouts.xares_head import XaresHead

    if name == "xares-mlp":
        return XaresHead(data.recipe(), data.training.pos_weight)
    if name == "mlp":
        return Mlp(recipe=data.recipe())
    if name == "attention":
        return Attention(recipe=data.recipe())
    if name == "layer-mix":
        return LayerMix(recipe=data.recipe())
    return Linear() if name == "linear" else Knn("xares" if name == "knn-xares" else "cosine")
