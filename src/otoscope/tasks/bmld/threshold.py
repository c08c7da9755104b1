"""Tier B: true thresholds of a learned listener, and from them a BMLD in the psychoacoustic sense.

Two intervals with independent (running) noise, a roving level, random tone phase; a cross-validated linear readout
says which holds the tone; a psychometric function over SNR gives the threshold; N0S0 minus N0Spi is the BMLD. With
``adaptive`` a coarse first round finds where each threshold lies and a second one spends the seeds there. Ours: the
paper has no thresholds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from otoscope.audio.binaural import BinauralSpec
from otoscope.audio.binaural_presets import DEFAULT
from otoscope.core.errors import UsageError
from otoscope.core.items import Factor, Item
from otoscope.core.nouns import Card, Decide, Decision, Embedded, Encode, Request, Row
from otoscope.results.scoring import Measure
from otoscope.tasks.bmld.distance import noise_seed, whole
from otoscope.tasks.bmld.findings import tables
from otoscope.tasks.bmld.grids import numbers, seeds_per_shard
from otoscope.tasks.bmld.placement import place
from otoscope.tasks.bmld.psychometrics import threshold_measures
from otoscope.tasks.bmld.readout import cross_validated_choices
from otoscope.tasks.bmld.signals import IntervalInputs

#: The configuration that BMLDs are measured from.
REFERENCE = "N0S0"


@dataclass(frozen=True)
class ThresholdTask:
    """Parameters: ``frequencies``, ``configurations`` (N0S0 N0Spi N0Sm NpiS0 NuSpi ...), ``snrs`` of the (first) round,
    ``n_seeds`` pairs per point, ``adaptive`` with ``coarse_seeds``, ``folds``, ``components`` of the PCA,
    ``permutations`` of the label null, ``rove_db``, ``floor_db``, ``duration_s``, ``target`` (proportion correct)."""

    version: ClassVar[int] = 1
    findings: ClassVar[Any] = staticmethod(tables)
    keeps_outputs: ClassVar[bool] = True

    frequencies: str | float = 500.0
    configurations: str = "N0S0 N0Spi"
    snrs: str | float = "-48 -42 -36 -30 -24 -18"
    n_seeds: int = 60
    adaptive: bool = False
    coarse_seeds: int = 40
    folds: int = 5
    components: int = 64
    permutations: int = 2
    rove_db: float = 2.0
    floor_db: float | None = None
    duration_s: float = 0.5
    target: float = 0.794
    seed: int = 0
    name: str = "bmld/threshold"

    def __post_init__(self) -> None:
        for text in self.configuration_axis:
            self._spec(self.frequency_axis[0], text, self.snr_axis[0])
        if REFERENCE not in self.configuration_axis:
            raise UsageError(f"configurations must include {REFERENCE}, the reference of every BMLD")
        if min(self.n_seeds, self.coarse_seeds) < self.folds or self.folds < 2:
            raise UsageError("n_seeds and coarse_seeds must be at least folds, and folds at least 2")

    @property
    def rounds(self) -> int:
        return 2 if self.adaptive else 1

    @property
    def frequency_axis(self) -> tuple[float, ...]:
        return numbers(self.frequencies, "frequencies") or ()

    @property
    def snr_axis(self) -> tuple[float, ...]:
        return numbers(self.snrs, "snrs") or ()

    @property
    def configuration_axis(self) -> tuple[str, ...]:
        return tuple(self.configurations.split())

    @property
    def shard_items(self) -> int:
        points = len(self.frequency_axis) * len(self.configuration_axis) * len(self.snr_axis)
        return points * seeds_per_shard(points)

    def _spec(self, frequency: float, configuration: str, snr: float) -> BinauralSpec:
        base = replace(
            DEFAULT.spec,
            frequency_hz=frequency,
            snr_db=snr,
            duration_s=self.duration_s,
            level_rove_db=self.rove_db,
            interaural_floor_db=self.floor_db,
        )
        return base.with_condition(configuration)

    def identity(self) -> Mapping[str, Any]:
        """Seeds count here: a readout learns from all of them, so another number is another listener."""
        return {
            "name": "bmld/threshold",
            "version": self.version,
            "stimulus": self._spec(self.frequency_axis[0], self.configuration_axis[0], self.snr_axis[0]),
            "frequencies": self.frequency_axis,
            "configurations": self.configuration_axis,
            "snrs": self.snr_axis,
            "n_seeds": self.n_seeds,
            "adaptive": self.coarse_seeds if self.adaptive else None,
            "readout": [self.folds, self.components, self.permutations],
            "target": self.target,
            "seed": self.seed,
        }

    def accepts(self, card: Card) -> str | None:
        if card.capability == "encoder":
            return None
        if card.capability == "observer":
            return None if "variable" in card.quantities else "this observer gives no decision variable for an interval"
        return f"needs an encoder or an observer, and {card.name} is of the kind {card.capability!r}"

    def refuses(self, label: Any, card: Card) -> str | None:
        return None if label == "intact" else "rungs act on triplets; thresholds are measured on the intact stimulus"

    def items(self, round: int = 0, rows: Any = None) -> Sequence[Item]:
        points = [(f, c, snr) for f in self.frequency_axis for c in self.configuration_axis for snr in self.snr_axis]
        n = self.coarse_seeds if self.adaptive else self.n_seeds
        first = 0
        if round == 1:
            placed = place(rows, self.snr_axis, self.target)
            points = [(f, c, snr) for (f, c), snrs in placed.items() for snr in snrs]
            first, n = self.coarse_seeds, self.n_seeds  # other noises than those the points were placed with
        return [self._item(round, first + k, *point) for k in range(n) for point in points]

    def _item(self, round: int, index: int, frequency: float, configuration: str, snr: float) -> Item:
        name = f"r{round}-s{index:05d}-{frequency:g}Hz-{configuration}-{snr:+g}dB"
        factors = {
            "frequency_hz": whole(frequency),
            "configuration": configuration,
            "snr_db": whole(snr),
            "round": round,
        }
        inputs = IntervalInputs(self._spec(frequency, configuration, snr), noise_seed(self.seed, index))
        return Item(name, name, f"seed{index:05d}", inputs, factors)

    def request(self, item: Item, card: Card) -> Request:
        names = IntervalInputs.names
        if card.capability == "observer":
            return Decide(names, "variable", {k: item.factors[k] for k in ("configuration", "frequency_hz")})
        return Encode(names)

    def score(self, item: Item, output: Embedded | Decision) -> list[Row]:
        return []  # what is heard is known once the readout is fitted

    def fit_readout(self, items: Sequence[Item], outputs: Sequence[Embedded]) -> list[tuple[Item, list[Row]]]:
        points: dict[tuple[Any, ...], list[int]] = {}
        for i, item in enumerate(items):
            key = (item.factors["frequency_hz"], item.factors["configuration"], item.factors["snr_db"])
            points.setdefault(key, []).append(i)
        found: dict[int, list[Row]] = {i: [] for i in range(len(items))}
        for where in points.values():
            for layer in outputs[where[0]].vectors:
                rows = self._listen([items[i] for i in where], [outputs[i] for i in where], layer)
                for i, row in zip(where, rows, strict=True):
                    found[i] += row
        return [(item, found[i]) for i, item in enumerate(items)]

    def _listen(self, items: Sequence[Item], outputs: Sequence[Embedded], layer: Any) -> list[list[Row]]:
        signal, noise = (
            np.stack([o.vectors[layer][n] for o in outputs]).astype(np.float64) for n in ("signal", "noise")
        )
        groups = np.array([i.group for i in items])
        listen: dict[str, Any] = {"folds": self.folds, "components": self.components}
        correct = cross_validated_choices(signal, noise, groups, flips=None, **listen)
        # Other flips at every point: a listener with few variables follows the flips, not the sounds.
        rng = np.random.default_rng([self.seed, *hashlib.sha256(items[0].id.encode()).digest()[:8]])
        null = [
            cross_validated_choices(signal, noise, groups, flips=rng.random(len(items)) < 0.5, **listen)
            for _ in range(self.permutations)
        ]
        mean_null = np.mean(null, axis=0) if null else None
        factors: dict[str, Factor] = {} if layer == "last" else {"layer": layer}
        rows = []
        for k in range(len(items)):
            row = [Row("correct", float(correct[k]), factors)]
            if mean_null is not None:
                row.append(Row("correct_null", float(mean_null[k]), factors))
            rows.append(row)
        return rows

    def measures(self) -> Sequence[Measure]:
        return threshold_measures(self.configuration_axis, REFERENCE, self.target)
