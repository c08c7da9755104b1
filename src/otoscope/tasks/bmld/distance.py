"""Tier A: the paper's distance ratio for tones in noise (arXiv 2606.14820, section 3), per frequency, SNR and seed.

Each item is a triplet (noise, noise with the diotic tone, noise with the tone inverted in the right ear) of one frozen
noise. Encoders give distances; observers give a BMLD of their own kind (``ec_bmld_db``), which never shares a column
with the ratio.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from otoscope.audio.binaural import BinauralSpec
from otoscope.core.errors import InputError, UsageError
from otoscope.core.items import Factor, Item
from otoscope.core.nouns import Card, Decide, Decision, Embedded, Encode, Request, Row
from otoscope.results.scoring import Measure
from otoscope.tasks.bmld.findings import tables
from otoscope.tasks.bmld.grids import grid, numbers, seeds_per_shard
from otoscope.tasks.bmld.measures import RATIO, curve_measures, summary_measures
from otoscope.tasks.bmld.metrics import triplet_rows
from otoscope.tasks.bmld.signals import TripletInputs

TRIPLET = ("n0", "s0", "spi", "n0_other")


@dataclass(frozen=True)
class DistanceTask:
    """Parameters: ``grid`` (small, cells24, sound, chen2026, ...), and what differs from it: ``frequencies`` and
    ``snrs`` (numbers with spaces between), ``n_seeds``, ``reference`` and ``test`` (interaural configuration of the
    tone), ``distance`` (euclidean, cosine), ``normalise``, ``floor_db``, ``duration_s``, ``low_hz``, ``high_hz``."""

    version: ClassVar[int] = 1
    findings: ClassVar[Any] = staticmethod(tables)
    rounds: ClassVar[int] = 1
    keeps_outputs: ClassVar[bool] = False

    grid: str = "small"
    frequencies: str | float | None = None
    snrs: str | float | None = None
    n_seeds: int | None = None
    seed: int = 0
    reference: str = "S0"
    test: str = "Spi"
    distance: str = "euclidean"
    normalise: str | None = None
    floor_db: float | None = None
    duration_s: float | None = None
    low_hz: float | None = None
    high_hz: float | None = None
    name: str = "bmld"

    def __post_init__(self) -> None:
        if self.distance not in ("euclidean", "cosine"):
            raise UsageError(f"there is no distance {self.distance!r}", fix="Use euclidean or cosine.")
        if self.n_seeds is not None and self.n_seeds < 1:
            raise UsageError(f"n_seeds must be at least 1, got {self.n_seeds}")
        for spec in (self._spec(f, s) for f in self.frequency_axis for s in self.snr_axis):
            replace(spec)  # an impossible stimulus is refused here, not in the middle of a run

    @property
    def frequency_axis(self) -> tuple[float, ...]:
        return numbers(self.frequencies, "frequencies") or grid(self.grid).frequencies_hz

    @property
    def snr_axis(self) -> tuple[float, ...]:
        return numbers(self.snrs, "snrs") or grid(self.grid).snrs_db

    @property
    def shard_items(self) -> int:
        cells = len(self.frequency_axis) * len(self.snr_axis)
        return cells * seeds_per_shard(cells)

    def _spec(self, frequency: float, snr: float) -> BinauralSpec:
        base = grid(self.grid).spec
        changes: dict[str, Any] = {
            "normalise": self.normalise,
            "interaural_floor_db": self.floor_db,
            "duration_s": self.duration_s,
            "low_hz": self.low_hz,
            "high_hz": self.high_hz,
        }
        given = {k: v for k, v in changes.items() if v is not None}
        return replace(base, frequency_hz=frequency, snr_db=snr, **given)

    def identity(self) -> Mapping[str, Any]:
        """Everything but the number of seeds: more seeds append to the same cell."""
        return {
            "name": "bmld",
            "version": self.version,
            "stimulus": self._spec(self.frequency_axis[0], self.snr_axis[0]),
            "rate": grid(self.grid).rate,
            "frequencies": self.frequency_axis,
            "snrs": self.snr_axis,
            "seed": self.seed,
            "reference": self.reference,
            "test": self.test,
            "distance": self.distance,
        }

    def accepts(self, card: Card) -> str | None:
        if card.capability == "encoder":
            return None
        if card.capability == "observer":
            return None if "bmld_db" in card.quantities else "this observer gives decision variables, no BMLD"
        return f"needs an encoder or an observer, and {card.name} is of the kind {card.capability!r}"

    def refuses(self, label: Any, card: Card) -> str | None:
        """A closed form knows the configuration, not the sound, so a transform of the sound means nothing to it."""
        closed = card.capability == "observer" and not card.cues
        return "a closed form does not hear the stimulus" if closed and label != "intact" else None

    def items(self, round: int = 0, rows: Any = None) -> Sequence[Item]:
        n = grid(self.grid).n_seeds if self.n_seeds is None else self.n_seeds
        return [self._item(s, f, snr) for s in range(n) for f in self.frequency_axis for snr in self.snr_axis]

    def _item(self, index: int, frequency: float, snr: float) -> Item:
        name = f"s{index:05d}-{frequency:g}Hz-{snr:+g}dB"
        inputs = TripletInputs(
            self._spec(frequency, snr), noise_seed(self.seed, index), self.reference, self.test, grid(self.grid).rate
        )
        factors = {"frequency_hz": whole(frequency), "snr_db": whole(snr)}
        return Item(name, name, f"seed{index:05d}", inputs, factors)

    def request(self, item: Item, card: Card) -> Request:
        if card.capability == "observer":
            inputs = TRIPLET[:3] if card.cues else ()
            configuration = "N0" + self.test
            return Decide(
                inputs, "bmld_db", {"configuration": configuration, "frequency_hz": item.factors["frequency_hz"]}
            )
        return Encode(TRIPLET, repeat="n0")

    def score(self, item: Item, output: Embedded | Decision) -> list[Row]:
        if isinstance(output, Embedded):
            return embedded_rows(output, self.distance)
        return [Row("ec_bmld_db", float(output["bmld_db"]))]

    def fit_readout(self, items: Sequence[Item], outputs: Sequence[Any]) -> list[tuple[Item, list[Row]]]:
        raise InputError("the distance task learns nothing across items")

    def measures(self) -> Sequence[Measure]:
        cell = ("frequency_hz", "snr_db")
        return [
            *curve_measures(cell),
            *summary_measures(cell, "frequency_hz"),
            Measure(
                "ec_bmld_db",
                ("frequency_hz",),
                ("ec_bmld_db",),
                "mean",
                unit="dB",
                doc="an observer's BMLD: a threshold difference, another quantity than the ratio",
            ),
        ]


def embedded_rows(output: Embedded, kind: str) -> list[Row]:
    """Rows of one triplet for every layer that was read; ``layer`` is a factor where there are several."""
    rows: list[Row] = []
    for layer, z in output.vectors.items():
        factors: dict[str, Factor] = {} if list(output.vectors) == ["last"] else {"layer": layer}
        again = output.again[layer]
        rows += triplet_rows(z["n0"], z["s0"], z["spi"], z["n0_other"], again, kind=kind, factors=factors, ratio=RATIO)
    return rows


def noise_seed(root: int, index: int) -> int:
    """Seed of the ``index``-th noise under a root seed; runs with different roots share none."""
    return root * 1_000_003 + index


def whole(x: float) -> float | int:
    """Whole numbers as integers, so that factors print as people write them."""
    return int(x) if float(x).is_integer() else x
