"""A drum kit: kick, snare, hat and tom, and bar patterns for them. Ours."""

from __future__ import annotations

import numpy as np

from otoscope.audio.generator import dsp
from otoscope.audio.generator.recipe import Array, Between, Params

PIECES = ("hat", "kick", "snare", "tom")
CHARACTER = {
    "kick_hz": Between(45, 70),
    "snare_hz": Between(160, 240),
    "tom_hz": Between(90, 160),
    "hat_hz": Between(5000, 7500),
    "snap": Between(0.5, 1.2),
    "ring": Between(0.7, 1.3),
}

#: Sixteenths of one bar on which a piece may fall, by style: (hat, kick, snare).
_PATTERNS = {
    "rock": (range(0, 16, 2), (0, 8, 10), (4, 12)),
    "four_on_the_floor": (range(2, 16, 4), (0, 4, 8, 12), (4, 12)),
    "half_time": (range(0, 16, 2), (0, 6), (8,)),
    "shuffle": ((0, 3, 4, 7, 8, 11, 12, 15), (0, 8), (4, 12)),
}
STYLES = tuple(sorted(_PATTERNS))


def strike(p: Params, piece: str, strength: float, rng: np.random.Generator) -> Array:
    """One stroke, peak ``strength``."""
    x = _PIECE[piece](p, rng)
    return x * (strength / np.abs(x).max())


def _kick(p: Params, rng: np.random.Generator) -> Array:
    n = dsp.seconds(0.35 * p["ring"])
    f = p["kick_hz"] * (1 + 2.5 * np.exp(-dsp.time(n) / 0.018))
    thump = np.sin(2 * np.pi * np.cumsum(f) / dsp.RATE) * dsp.decay(n, 0.09 * p["ring"], 0.002)
    return thump + 0.25 * p["snap"] * dsp.coloured(n, rng, -4, 200, 4e3) * dsp.decay(n, 0.006, 0.0005)


def _tom(p: Params, rng: np.random.Generator) -> Array:
    n = dsp.seconds(0.4 * p["ring"])
    f = p["tom_hz"] * (1 + 0.5 * np.exp(-dsp.time(n) / 0.04))
    phase = 2 * np.pi * np.cumsum(f) / dsp.RATE
    skin = np.sin(phase) + 0.35 * np.sin(1.59 * phase) + 0.2 * np.sin(2.14 * phase)
    return skin * dsp.decay(n, 0.11 * p["ring"], 0.002) + 0.2 * dsp.coloured(n, rng, -4, 150, 3e3) * dsp.decay(n, 0.01)


def _snare(p: Params, rng: np.random.Generator) -> Array:
    n = dsp.seconds(0.25 * p["ring"])
    skin = dsp.partials(p["snare_hz"] * np.array([1.0, 1.59, 2.3]), [1, 0.6, 0.3], [0.05, 0.04, 0.03], n)
    return skin + p["snap"] * 0.5 * dsp.coloured(n, rng, 0, 900, 9e3) * dsp.decay(n, 0.055 * p["ring"], 0.001)


def _hat(p: Params, rng: np.random.Generator) -> Array:
    n = dsp.seconds(0.12)
    clang = sum(np.sign(np.sin(2 * np.pi * 520 * r * dsp.time(n))) for r in (2.0, 3.0, 4.16, 5.43, 6.79, 8.21))
    noise = 0.1 * clang + dsp.coloured(n, rng, 0, 2500, p["hat_hz"] * 2)
    bright = dsp.shaped(noise, lambda f: 1 / (1 + (2500 / np.maximum(f, 1)) ** 4))
    return bright * dsp.decay(n, 0.03 * p["ring"], 0.0008)


_PIECE = {"hat": _hat, "kick": _kick, "snare": _snare, "tom": _tom}


def bar(style: str, fill: bool, rng: np.random.Generator) -> list[tuple[int, str, float]]:
    """``(sixteenth, piece, strength)`` of one bar; now and then a stroke is left out, and a fill ends with toms."""
    hats, kicks, snares = _PATTERNS[style]
    strokes = [(s, "hat", 0.35 if s % 4 else 0.5) for s in hats]
    strokes += [(s, "kick", 0.9) for s in kicks] + [(s, "snare", 0.8) for s in snares]
    if fill:
        strokes = [s for s in strokes if s[0] < 12] + [(s, "tom", 0.8) for s in (12, 13, 14, 15)]
    kept = [s for s in sorted(strokes) if s[0] == 0 or s[1] != "hat" or rng.random() > 0.08]
    return [(s, piece, strength * rng.uniform(0.8, 1.0)) for s, piece, strength in kept]
