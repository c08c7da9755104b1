"""From sources to one sound: what is heard when, at which level, in which room, over which noise.

The longest version of an item is laid out as a core, which holds all that the questions are about, and shells around
it, one per greater length, that hold other sound. No sound of a shell reaches into another one, so every shorter
version is a stretch of the longest and is complete. Levels are relative: all sources have one RMS (before ``gain_db``),
and ``snr_db`` is that level over the noise's.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.signal import fftconvolve

from otoscope.audio.rooms import RoomSpec, simulated_brir
from otoscope.audio.signals import from_db
from otoscope.core.errors import InputError, UsageError
from otoscope.tasks.audiomarathon.miniature.made import faded, looped
from otoscope.tasks.audiomarathon.miniature.pool import LEVEL_DBFS, RATE, Float
from otoscope.tasks.longaudio.material import Source

#: No more of a sound that is no speech is heard at once (s), and never less.
LONGEST_S, SHORTEST_S = 4.0, 0.5
_PEAK = 0.99
#: Rooms by the reverberation time that they are asked for (s): the first that is large enough.
_ROOMS = ((0.5, (5.2, 4.1, 2.8)), (1.0, (11.5, 8.2, 3.6)), (2.5, (26.0, 17.0, 11.0)))


@dataclass(frozen=True)
class Acoustics:
    """``snr_db`` of the sources over white noise; ``overlap``: the share of the shorter of two neighbours that both
    share; ``gap_s``: the least silence between neighbours that do not overlap; ``rt60_s``: of a simulated room (None:
    none). ``density``: sounds a minute around the core."""

    snr_db: float = 30.0
    overlap: float = 0.0
    gap_s: float = 0.2
    rt60_s: float | None = None
    density: float = 10.0

    def __post_init__(self) -> None:
        if not 0 <= self.overlap < 1:
            raise UsageError(f"overlap is a share from 0 to below 1, got {self.overlap}")
        if not (-20 <= self.snr_db <= 90 and self.gap_s >= 0 and 0 < self.density <= 60):
            raise UsageError(
                "snr_db goes from -20 to 90, gap_s from 0, density up to 60 a minute",
                fix=f"Got {self.snr_db}, {self.gap_s}, {self.density}.",
            )
        if self.rt60_s is not None and not 0.1 <= self.rt60_s <= _ROOMS[-1][0]:
            raise UsageError(f"rt60_s goes from 0.1 to {_ROOMS[-1][0]} s, got {self.rt60_s}")


@dataclass(frozen=True, eq=False)
class Part:
    """A source to be heard once. ``whole``: none of it may be cut. ``change`` is put to its samples; ``role`` says what
    it is there for."""

    source: Source
    whole: bool = False
    change: Callable[[Float], Float] | None = None
    role: str = "event"
    seconds: float | None = None

    def samples(self, most_s: float) -> Float:
        """Its sound, at most ``most_s`` long unless it is whole."""
        x = self.source.load()
        if self.seconds is not None:
            x = (
                looped(x, round(self.seconds * RATE))
                if len(x) < self.seconds * RATE
                else x[: round(self.seconds * RATE)]
            )
        elif not self.whole:
            x = x[: round(most_s * RATE)]
        return x if self.change is None else self.change(x)


@dataclass(frozen=True, eq=False)
class Placed:
    """``sound`` ``[n]`` of a part from sample ``start`` on."""

    part: Part
    sound: Float
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.sound)


def lay(rng: np.random.Generator, parts: Sequence[Part], seconds: float, acoustics: Acoustics) -> list[Placed]:
    """``parts`` in order within ``seconds``, what is free spread at random. What need not be whole is shortened until
    all fit. Raises :class:`InputError` where they cannot."""
    n, gap = round(seconds * RATE), round(acoustics.gap_s * RATE)
    most = LONGEST_S
    while True:
        sounds = [p.samples(most) for p in parts]
        steps = [0]
        for a, b in itertools.pairwise(sounds):
            shared = round(acoustics.overlap * min(len(a), len(b)))
            steps.append(-shared if shared else gap)
        slack = n - sum(map(len, sounds)) - sum(steps)
        if slack >= 0:
            break
        most *= 0.8
        if most < SHORTEST_S:
            raise InputError(
                f"{len(parts)} sounds need {(n - slack) / RATE:.1f} s and do not fit into {seconds:g} s",
                fix="Make the shortest length longer, or the gaps shorter.",
            )
    if acoustics.overlap:  # what overlaps stays together
        spread = np.full(len(parts), int(rng.uniform() * slack))
    else:
        spread = np.floor(np.cumsum(rng.dirichlet(np.ones(len(parts) + 1))[:-1]) * slack).astype(int)
    at, found = 0, []
    for part, sound, step, more in zip(parts, sounds, steps, spread, strict=True):
        at += step
        found.append(Placed(part, sound, at + int(more)))
        at += len(sound)
    return found


def moved(placed: Sequence[Placed], by: int) -> list[Placed]:
    """The same, ``by`` samples later."""
    return [Placed(p.part, p.sound, p.start + by) for p in placed]


def render(rng: np.random.Generator, placed: Sequence[Placed], n: int, acoustics: Acoustics, seed: int) -> Float:
    """The sound ``[n]``, within full scale."""
    out = np.zeros(n, np.float32)
    for p in placed:
        out[p.start : p.end] += faded(p.sound)[: max(0, n - p.start)]
    if acoustics.rt60_s is not None:
        out = fftconvolve(out, response(acoustics.rt60_s, seed))[:n].astype(np.float32)
    noise = from_db(LEVEL_DBFS - acoustics.snr_db) * rng.standard_normal(n, dtype=np.float32)
    out += noise.astype(np.float32)
    peak = float(np.abs(out).max())
    return out if peak <= _PEAK else (out * (_PEAK / peak)).astype(np.float32)


@lru_cache(maxsize=64)
def response(rt60_s: float, seed: int) -> Float:
    """Of a simulated room to an omnidirectional microphone 1.5 m away; the direct sound has a gain of about 1."""
    size = next(s for most, s in _ROOMS if rt60_s <= most)
    room = RoomSpec(size, rt60_s=rt60_s, head="open")
    x = simulated_brir(room, 0.0, 1.5, RATE, seed % 16).samples[0]
    return (x[int(np.argmax(np.abs(x))) :] / np.abs(x).max()).astype(np.float32)
