"""Events in time: a head per frame, scored by segment-based F1 (macro or micro over classes)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otoscope.readouts import segments
from otoscope.readouts.frame import FrameHead, FrameMetric
from otoscope.readouts.jackknife import f1_shares
from otoscope.readouts.probe import Floats, Needs
from otoscope.readouts.ragged import Ragged
from otoscope.tasks.probes.heads.data import Data, Head, Rows, Scored

#: Units of the hidden layer of ``mlp``.
HIDDEN = 512


class TimelineHead:
    """``name`` is ``xares-mlp`` (linear) or ``mlp``."""

    needs: Needs = "frames"
    seeded, chooses = True, True

    def __init__(self, data: Data, name: str) -> None:
        self.name, self._data = name, data
        self._published = data.how.heads == "published"
        self._classes = {c: k for k, c in enumerate(data.collection.classes)}
        self._segment = float(data.collection.more.get("segment_s") or 1.0)
        grid = data.collection.more.get("grid_s")
        self._grid = None if grid is None else float(grid)
        self._average = "micro" if data.collection.metric.endswith("micro") else "macro"

    def read(self, x: Ragged, train: Rows, valid: Rows | None, test: Rows, seed: int) -> Scored:
        head = FrameHead(
            self._data.recipe(),
            HIDDEN if self.name == "mlp" else None,
            pos_weight=self._data.training.pos_weight,
            padding="counted" if self._published else "masked",
        )
        y = [self._targets(e, x.hop(), len(x.parts[i])) for e, i in zip(self._events(train), train, strict=True)]
        held = None if valid is None else (x[valid], self._metric(valid, x.hop()))
        fitted = head.fit(x[train], y, held, seed, self._data.shards(train))
        logits = fitted.scores(x[test])
        shares = self._shares(logits, test, x.hop())
        return Scored(shares, [self._said(z, x.hop()) for z in logits])

    def _events(self, rows: Rows) -> list[list[segments.Event]]:
        return [[(on, off, self._classes[c]) for on, off, c in own] for own in self._data.truth(rows)]

    def _targets(self, events: Sequence[segments.Event], hop: float, n: int) -> NDArray[np.float32]:
        if self._published:
            return segments.published_grid(events, len(self._classes), hop, self._grid)
        return segments.sound_grid(events, len(self._classes), hop, n)

    def _metric(self, rows: Rows, hop: float) -> FrameMetric:
        return lambda logits: float(self._shares(logits, rows, hop).mean())

    def _shares(self, logits: Sequence[Floats], rows: Rows, hop: float) -> NDArray[np.float64]:
        counts = [self._counts(z > 0, e, hop) for z, e in zip(logits, self._events(rows), strict=True)]
        tp, fp, fn = (np.stack(c) for c in zip(*counts, strict=True))
        return f1_shares(tp, fp, fn, self._average)

    def _counts(self, said: NDArray[np.bool_], events: Sequence[segments.Event], hop: float) -> Any:
        if not self._published:
            return segments.sound_counts(said, events, hop, self._segment)
        truth = segments.published_grid(events, len(self._classes), hop, self._grid, len(said)) > 0
        return segments.published_counts(said, truth, hop, self._segment)

    def _said(self, z: Floats, hop: float) -> str:
        """Runs of frames that were called active: ``[[onset, offset, class], ...]`` in s."""
        found = []
        for k, name in enumerate(self._data.collection.classes):
            edges = np.flatnonzero(np.diff(np.concatenate([[0], (z[:, k] > 0).astype(np.int8), [0]])))
            for on, off in edges.reshape(-1, 2):
                found.append([round(float(on) * hop, 3), round(float(off) * hop, 3), name])
        return json.dumps(sorted(found))


def timeline_heads(data: Data) -> list[Head]:
    """``xares-mlp`` and ``mlp`` of the protocol's probes."""
    return [TimelineHead(data, n) for n in data.how.probe_names if n in ("xares-mlp", "mlp")]
