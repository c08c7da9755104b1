"""A small task and encoder with every moving part of the runner: conditions, shared sounds, kept outputs, two rounds,
a failing item. Named in tests as ``file:.../toy.py#ToyTask``."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from otoscope.core.audio import Audio
from otoscope.core.errors import InputError
from otoscope.core.items import Item
from otoscope.core.nouns import Encode, Row
from otoscope.results.scoring import Measure


@dataclass(frozen=True)
class Noise:
    seed: int
    broken: bool = False
    names: ClassVar[tuple[str, ...]] = ("a", "b")

    def render(self, rate: int) -> dict[str, Audio]:
        if self.broken:
            raise InputError("is broken on purpose", where=f"noise {self.seed}")
        rng = np.random.default_rng(self.seed)
        shared = np.random.default_rng(self.seed // 4)  # four neighbours share a sound
        return {
            "a": Audio(shared.standard_normal((1, 400)) * 0.1, rate),
            "b": Audio(rng.standard_normal((1, 400)) * 0.1, rate),
        }

    def describe(self) -> Any:
        return {"noise": self.seed, "broken": self.broken}


@dataclass(frozen=True)
class ToyTask:
    n: int = 30
    seed: int = 0
    broken: int = -1
    readout: bool = False
    two_rounds: bool = False
    name: str = "toy"
    version: ClassVar[int] = 1
    shard_items: ClassVar[int] = 4

    @property
    def rounds(self) -> int:
        return 2 if self.two_rounds else 1

    @property
    def keeps_outputs(self) -> bool:
        return self.readout

    def identity(self):
        return {
            "name": "toy",
            "seed": self.seed,
            "broken": self.broken,
            "readout": self.readout,
            "two": self.two_rounds,
        }

    def accepts(self, card):
        return None if card.capability == "encoder" else "needs an encoder"

    def items(self, round=0, rows=None):
        if round == 0:
            return [self._item(k, "r0") for k in range(self.n)]
        seen = rows.filter(np.array([m == "rank" for m in rows.column("metric").to_pylist()]))
        best = sorted(zip(seen.column("value").to_pylist(), seen.column("item").to_pylist(), strict=True))[:6]
        return [self._item(1000 + int(i.split("-")[1]), "r1") for _, i in best]

    def _item(self, k, part):
        base = f"{part}-{k}"
        return Item(
            base, base, f"g{k // 2}", Noise(k + 100 * self.seed, k == self.broken), {"half": k % 2, "part": part}
        )

    def request(self, item, card):
        return Encode(("a", "b"), repeat="a")

    def score(self, item, output):
        if self.readout:
            return []
        v = output.vectors["last"]
        floor = float(np.abs(output.again["last"] - v["a"]).max())
        return [Row("distance", float(np.linalg.norm(v["a"] - v["b"]))), Row("floor", floor)]

    def fit_readout(self, items, outputs):
        mean = np.mean([o.vectors["last"]["b"] for o in outputs], axis=0)
        return [
            (i, [Row("rank", float(np.linalg.norm(o.vectors["last"]["b"] - mean)))])
            for i, o in zip(items, outputs, strict=True)
        ]

    def measures(self):
        return [Measure(m, ("half",), (m,)) for m in (("rank",) if self.readout else ("distance", "floor"))]


class ToyEncoder:
    """Mean power in eight bands. ``slow`` seconds per sound make room for kills."""

    rate = 16000
    channels = 1

    def __init__(self, slow: float = 0.0) -> None:
        self.slow = slow

    def encode(self, x: np.ndarray) -> np.ndarray:
        time.sleep(self.slow * len(x))
        power = np.abs(np.fft.rfft(x[:, 0], axis=-1)) ** 2
        bands = np.stack([b.mean(axis=-1) for b in np.array_split(power, 8, axis=-1)], axis=-1)
        return bands[:, None, :].astype(np.float32)
