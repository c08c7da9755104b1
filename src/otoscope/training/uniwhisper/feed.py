"""Batches: which records, in which order, cut by a budget; exact to resume, whatever number of workers decodes.

The order is drawn in the main process and is a pure function of the seed and of a small state; decoding and features
are done by workers, and every batch carries the state after it. So a run goes on with the very next batch.

Records are drawn in pools. A pool is sorted by length and cut into batches whose padded cost (windows times samples)
stays within the budget, and the batches are shuffled: short clips stand beside short ones and pay for no silence.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from otoscope.audio.binaural import child
from otoscope.core.errors import InputError, UsageError
from otoscope.training.uniwhisper.mixture import Mixture, Source
from otoscope.training.uniwhisper.records import Record

#: Batches of a pool, for each process.
POOL_BATCHES = 8


@dataclass(frozen=True)
class Draw:
    """A record: of which source, its place there, and how often that source has been gone through."""

    source: int
    index: int
    epoch: int


@dataclass
class FeedState:
    """``pool`` counts pools, ``taken`` batches of the current one; ``drawn`` records of each source before it."""

    pool: int = 0
    taken: int = 0
    drawn: list[int] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        return {"pool": self.pool, "taken": self.taken, "drawn": list(self.drawn)}

    @staticmethod
    def of(data: Mapping[str, Any]) -> FeedState:
        """The inverse of :meth:`to_json`; raises :class:`InputError`."""
        try:
            return FeedState(int(data["pool"]), int(data["taken"]), [int(n) for n in data["drawn"]])
        except (KeyError, TypeError, ValueError) as e:
            raise InputError(f"is no state of a feed: {e}") from e


@dataclass(frozen=True)
class Budget:
    """Of one batch of one process: seconds of sound, padding included; clips; the longest clip."""

    seconds: float = 40.0
    clips: int = 64
    longest_s: float = 30.0


class Feed:
    """``rank`` of ``world`` processes: of each pool, this one's batches. ``steps`` is what the schedule of the mixture
    is read against, in pools it is estimated from the budget."""

    def __init__(
        self,
        sources: Sequence[Source],
        mixture: Mixture,
        budget: Budget,
        *,
        seed: int,
        pools: int,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        if not sources:
            raise UsageError("there is nothing to learn from", where="sources")
        for s in sources:
            if not s.records:
                raise UsageError("holds no records", where=s.name)
            if long := [r for r in s.records if r.duration_s > budget.longest_s]:
                what = f"{long[0].key} lasts {long[0].duration_s:g} s, and the encoder hears {budget.longest_s:g} s"
                raise UsageError(
                    f"{len(long)} clip(s) are too long: {what}",
                    where=s.name,
                    fix="Cut them with start_s and duration_s.",
                )
        self.sources, self.mixture, self.budget = sources, mixture, budget
        self.seed, self.pools, self.rank, self.world = seed, max(1, pools), rank, world
        self._orders: dict[tuple[int, int], np.ndarray[Any, Any]] = {}

    def batches(self, state: FeedState | None = None) -> Iterator[tuple[list[Draw], dict[str, Any]]]:
        """This process's batches from ``state`` on, each with the state after it."""
        now = FeedState(0, 0, [0] * len(self.sources)) if state is None else FeedState.of(state.to_json())
        if len(now.drawn) != len(self.sources):
            raise InputError(f"the state is of {len(now.drawn)} sources, and there are {len(self.sources)}")
        while True:
            batches, drawn = self._pool(now)
            own = batches[self.rank :: self.world]
            for i in range(now.taken, len(own)):
                last = i + 1 == len(own)
                after = FeedState(now.pool + last, 0 if last else i + 1, drawn if last else now.drawn)
                yield own[i], after.to_json()
            now = FeedState(now.pool + 1, 0, drawn)

    def record(self, draw: Draw) -> Record:
        """The record of a draw."""
        return self.sources[draw.source].records[draw.index]

    def _pool(self, state: FeedState) -> tuple[list[list[Draw]], list[int]]:
        """All processes' batches of a pool, a multiple of ``world``, and how many records have been drawn after it."""
        rng = child(self.seed, "pool", state.pool)
        drawn = list(state.drawn)
        want = self.budget.seconds * POOL_BATCHES * self.world
        draws: list[Draw] = []
        seconds = 0.0
        p = self._p(state, drawn)
        while seconds < want:
            i = int(rng.choice(len(p), p=p))
            draws.append(self._next(i, drawn))
            seconds += self.record(draws[-1]).duration_s
            if self._spent(i, drawn[i]):
                p = self._p(state, drawn)
        draws.sort(key=lambda d: (self.record(d).duration_s, d.source, d.index, d.epoch))
        batches = self._cut(draws)
        order = rng.permutation(len(batches))
        return [batches[int(i)] for i in order], drawn

    def _p(self, state: FeedState, drawn: Sequence[int]) -> Any:
        spent = [self._spent(i, n) for i, n in enumerate(drawn)]
        return self.mixture.probabilities(self.sources, state.pool / self.pools, spent)

    def _spent(self, i: int, drawn: int) -> bool:
        source = self.sources[i]
        return source.epochs is not None and drawn >= source.epochs * len(source.records)

    def _next(self, i: int, drawn: list[int]) -> Draw:
        n = len(self.sources[i].records)
        epoch, at = divmod(drawn[i], n)
        if (i, epoch) not in self._orders:
            self._orders = {k: v for k, v in self._orders.items() if k[0] != i}
            self._orders[i, epoch] = child(self.seed, "order", self.sources[i].name, epoch).permutation(n)
        drawn[i] += 1
        return Draw(i, int(self._orders[i, epoch][at]), epoch)

    def _cut(self, draws: Sequence[Draw]) -> list[list[Draw]]:
        """Runs of draws, shortest first, within the budget; their number is a multiple of the processes'."""
        found: list[list[Draw]] = [[]]
        for draw in draws:
            longest = self.record(draw).duration_s
            batch = found[-1]
            if batch and ((len(batch) + 1) * longest > self.budget.seconds or len(batch) >= self.budget.clips):
                found.append([])
            found[-1].append(draw)
        while len(found) % self.world:
            widest = max(range(len(found)), key=lambda i: len(found[i]))
            if len(found[widest]) < 2:
                raise UsageError(
                    f"a pool of {len(draws)} clips cannot be dealt to {self.world} processes",
                    where="budget",
                    fix="Raise its seconds.",
                )
            half = len(found[widest]) // 2
            found[widest : widest + 1] = [found[widest][:half], found[widest][half:]]
        return found
