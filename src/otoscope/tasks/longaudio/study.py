"""What length does: rows of a run by length, paired over items, by position and depth, and along chains.

An item's value is 100 where the answer is right and 0 where it is wrong or cannot be read; of a transcript it is
100 less the item's word error rate, not below 0 (a runaway reply would count for hundreds of others). Everything is
resampled over groups.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from otoscope.core.naming import parse_spec
from otoscope.results.store import Results
from otoscope.stats.bootstrap import mean_intervals
from otoscope.stats.intervals import Interval
from otoscope.tasks.longaudio.families import FAMILIES

Floats = NDArray[np.float64]
PREFIX = "longaudio/"
_METRICS = ("correct", "errors", "words", "audio_tokens", "seconds_first_token")
#: Chains: the hops alone whose product a chain of two or three is compared with.
CHAINS = {"two": ("count", "number-after"), "three": ("count", "number-after", "sound-after")}


@dataclass(frozen=True)
class Answers:
    """One family in one setting. Arrays ``[n]``, an entry per answered question; ``lost`` items failed, by length."""

    family: str
    model: str
    intervention: str
    condition: str
    base: NDArray[np.str_]
    group: NDArray[np.str_]
    seconds: Floats
    position: Floats
    depth_s: Floats
    hop: NDArray[np.str_]
    value: Floats
    tokens: Floats
    first_token_s: Floats
    lost: Mapping[float, int]

    @property
    def setting(self) -> tuple[str, str, str]:
        return self.model, self.intervention, self.condition

    @cached_property
    def lengths(self) -> list[float]:
        return sorted(set(self.seconds.tolist()))

    def mean(self, chosen: NDArray[np.bool_]) -> Interval | None:
        """The mean of some answers, or None where there are none."""
        if not chosen.any():
            return None
        return mean_intervals(self.value[chosen][None], self.group[chosen].tolist(), seed=0)[0]

    def by_length(self) -> list[tuple[float, Interval]]:
        found = [(s, self.mean(self.seconds == s)) for s in self.lengths]
        return [(s, i) for s, i in found if i is not None]

    def tokens_at(self, seconds: float) -> float:
        """Mean tokens that stand for sound at a length."""
        return float(self.tokens[self.seconds == seconds].mean())

    def change(self, seconds: float) -> Interval | None:
        """What a length has less what the shortest has, over the questions that were answered at both."""
        first = self._by_base(self.lengths[0])
        other = self._by_base(seconds)
        both = sorted(first.keys() & other.keys())
        if not both or seconds == self.lengths[0]:
            return None
        difference = np.array([other[b][0] - first[b][0] for b in both])
        return mean_intervals(difference[None], [first[b][1] for b in both], seed=0)[0]

    def _by_base(self, seconds: float) -> dict[str, tuple[float, str]]:
        at = np.flatnonzero(self.seconds == seconds)
        return {str(self.base[i]): (float(self.value[i]), str(self.group[i])) for i in at}


@dataclass(frozen=True)
class Study:
    """All of a run directory."""

    results: Results

    @cached_property
    def answers(self) -> list[Answers]:
        """In the order of cells; seeds and variants of one family and setting together."""
        found: dict[tuple[str, str, str, str], list[tuple[str, int]]] = {}
        for cell in self.results.cells():
            name = parse_spec(cell.task).name
            if cell.status != "superseded" and name.startswith(PREFIX):
                key = (name.removeprefix(PREFIX), cell.model, cell.intervention, cell.condition)
                found.setdefault(key, []).append((cell.cell, cell.seed))
        read = [self._read(key, cells) for key, cells in found.items()]
        return [a for a in read if a is not None]

    def of_family(self, family: str) -> list[Answers]:
        return [a for a in self.answers if a.family == family]

    @property
    def families(self) -> list[str]:
        return list(dict.fromkeys(a.family for a in self.answers))

    def __iter__(self) -> Iterator[Answers]:
        return iter(self.answers)

    def _read(self, key: tuple[str, str, str, str], cells: Sequence[tuple[str, int]]) -> Answers | None:
        by: dict[tuple[int, str], dict[str, float]] = {}
        about: dict[tuple[int, str], tuple[str, str, dict[str, object]]] = {}
        lost: dict[float, int] = {}
        for cell, seed in cells:
            rows = self.results.rows(cells=[cell], metrics=_METRICS).to_pylist()
            for row in rows:
                factors = json.loads(row["factors"])
                if row["status"] == "failed":
                    length = float(factors.get("seconds", 0.0))
                    lost[length] = lost.get(length, 0) + 1
                elif row["value"] is not None:
                    by.setdefault((seed, row["item"]), {})[row["metric"]] = row["value"]
                    about[seed, row["item"]] = (f"{seed}/{row['base_id']}", f"{seed}/{row['group']}", factors)
        names = [k for k in by if "correct" in by[k] or "errors" in by[k]]
        if not names:
            return None
        number = lambda name: np.array([float(str(about[k][2].get(name, "nan"))) for k in names])  # noqa: E731
        measured = lambda name: np.array([by[k].get(name, np.nan) for k in names])  # noqa: E731
        return Answers(
            *key,
            np.array([about[k][0] for k in names]),
            np.array([about[k][1] for k in names]),
            number("seconds"),
            number("position"),
            number("depth_s"),
            np.array([str(about[k][2].get("hop", "")) for k in names]),
            np.array([_value(by[k]) for k in names]),
            measured("audio_tokens"),
            measured("seconds_first_token"),
            lost,
        )


def _value(of: Mapping[str, float]) -> float:
    if "correct" in of:
        return 100.0 * of["correct"]
    return max(0.0, 100.0 * (1 - of["errors"] / of["words"]))


def chance(family: str) -> float | None:
    """What guessing gets, in percent; None of transcripts."""
    n = FAMILIES[family].options if family in FAMILIES else 0
    return 100.0 / n if n else None


def at_positions(a: Answers) -> tuple[list[float], list[float], Floats]:
    """Lengths, positions, and the mean value at each ``[lengths, positions]`` (NaN: none)."""
    positions = sorted(set(a.position.tolist()))
    grid = np.full((len(a.lengths), len(positions)), np.nan)
    for i, s in enumerate(a.lengths):
        for j, p in enumerate(positions):
            here = (a.seconds == s) & (a.position == p)
            if here.any():
                grid[i, j] = a.value[here].mean()
    return a.lengths, positions, grid


def by_depth(a: Answers, bins: int = 5) -> list[tuple[float, Interval]]:
    """Mean value against the seconds between what was asked about and the end, in bins with as many answers each."""
    known = np.isfinite(a.depth_s)
    edges = np.unique(np.quantile(a.depth_s[known], np.linspace(0, 1, bins + 1))) if known.any() else np.array([])
    found = []
    for k in range(len(edges) - 1):
        last = k == len(edges) - 2
        here = known & (a.depth_s >= edges[k]) & ((a.depth_s <= edges[k + 1]) if last else (a.depth_s < edges[k + 1]))
        mean = a.mean(here)
        if mean is not None:
            found.append((float(a.depth_s[here].mean()), mean))
    return found


@dataclass(frozen=True)
class Chain:
    """At one length: the share of right answers of every question of a chain, and for the chains of two and three what
    their hops alone would give if they failed independently (the product)."""

    seconds: float
    alone: Mapping[str, Interval]
    product: Mapping[str, float]


def chains(a: Answers) -> list[Chain]:
    """Of the family ``hops``, by length."""
    found = []
    for s in a.lengths:
        alone = {h: m for h in dict.fromkeys(a.hop.tolist()) if (m := a.mean((a.seconds == s) & (a.hop == h)))}
        product = {}
        for name, hops in CHAINS.items():
            if all(h in alone for h in hops):
                product[name] = 100 * float(np.prod([alone[h].value / 100 for h in hops]))
        found.append(Chain(s, alone, product))
    return found
