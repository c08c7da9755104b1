"""What a maker gives, and how sounds are laid one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from otoscope.tasks.audiomarathon.miniature.pool import RATE, Float

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
#: Rise and fall of every sound.
RAMP_S = 0.01


@dataclass(frozen=True, eq=False)
class Made:
    """An item: ``sound`` ``[n]`` at ``RATE``, the question with its options and the index of the right one, or the
    ``transcript``. ``label`` is the class, ``extra`` what the published metadata say besides. ``spoken``: the digits in
    the order in which they are said, where digits are all that is said."""

    sound: Float
    question: str = ""
    options: tuple[str, ...] = ()
    gold: int = 0
    transcript: str = ""
    label: str = ""
    group: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)
    spoken: tuple[int, ...] = ()


def in_a_row(parts: Iterable[Float], gaps_s: Iterable[float], seconds: float) -> Float:
    """Parts with a silence after each, in exactly ``seconds``; the last part must fit."""
    out = np.zeros(round(seconds * RATE), np.float32)
    at = 0
    for part, gap in zip(parts, gaps_s, strict=True):
        stop = min(at + len(part), len(out))
        out[at:stop] += faded(part[: stop - at])
        at = stop + round(gap * RATE)
    return out


def faded(x: Float) -> Float:
    n = min(round(RAMP_S * RATE), len(x) // 2)
    if n == 0:
        return x
    shape = np.ones(len(x), np.float32)
    shape[:n] = np.linspace(0, 1, n)
    shape[-n:] = np.linspace(1, 0, n)
    return x * shape


def looped(x: Float, n: int) -> Float:
    """``x`` again and again, ``n`` samples of it."""
    return np.tile(x, -(-n // len(x)))[:n]


def put(out: Float, x: Float, at_s: float, gain: float = 1.0) -> None:
    """Add ``x`` to ``out`` from ``at_s`` on, as much as fits."""
    start = min(round(at_s * RATE), len(out) - 1)
    part = faded(x[: len(out) - start])
    out[start : start + len(part)] += gain * part


def with_noise(rng: np.random.Generator, x: Float, dbfs: float) -> Float:
    """With a quiet white noise (none at ``-inf``), within full scale."""
    y = x + 10 ** (dbfs / 20) * rng.standard_normal(len(x)).astype(np.float32)
    peak = float(np.abs(y).max())
    return (y if peak <= 0.99 else y * (0.99 / peak)).astype(np.float32)


def choose(rng: np.random.Generator, right: str, wrong: Sequence[str], n: int) -> tuple[tuple[str, ...], int]:
    """``n`` options in a random order with the right one among them, and where it is."""
    others = [str(w) for w in rng.permutation([w for w in dict.fromkeys(wrong) if w != right])[: n - 1]]
    options = [str(o) for o in rng.permutation([right, *others])]
    return tuple(options), options.index(right)
