"""Mixtures of two sounds with a stated level ratio and overlap, whose stems sum to the mixture bit for bit. Ours.

Both sounds get a slot of the same length ``duration / (2 - overlap)``; one starts the mixture, the other ends it, so
that the share ``overlap`` of each slot is common (1: both last throughout; 0: one after the other). The signal-to-noise
ratio is that of the powers over the common stretch, and over each sound's own slot where there is none. Steady noise,
where asked for, lasts throughout; its ratio is the target's power over its slot to the noise's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from otoscope.audio.signals import from_db, ramp, root_mean_square, samples
from otoscope.core.errors import InputError, UsageError

Float = NDArray[np.float64]
Samples = NDArray[np.float32]

#: Rise and fall of every slot.
RAMP_S = 0.01
#: Sound below this share of the peak (-40 dB) counts as silence at the ends of a clip.
SILENCE = 0.01
#: A mixture that would go beyond is turned down as a whole.
PEAK = 0.99


@dataclass(frozen=True)
class Mix:
    """How two sounds are put together. ``level_dbfs`` is the RMS of the whole mixture (less where its peak would pass
    :data:`PEAK`); ``target_first`` says which of the two starts; ``noise_snr_db`` None: no noise."""

    duration_s: float = 4.0
    snr_db: float = 0.0
    overlap: float = 1.0
    target_first: bool = True
    level_dbfs: float = -25.0
    noise_snr_db: float | None = None

    def __post_init__(self) -> None:
        if not 0.0 <= self.overlap <= 1.0:
            raise UsageError(f"overlap is a share from 0 to 1, got {self.overlap}")
        if not 0.5 <= self.duration_s <= 600.0:
            raise UsageError(f"a mixture lasts from 0.5 to 600 s, got {self.duration_s}")
        for name in ("snr_db", "noise_snr_db"):
            value = getattr(self, name)
            if value is not None and not -60.0 <= value <= 60.0:
                raise UsageError(f"{name} must lie within 60 dB of 0, got {value}")

    @property
    def slot_s(self) -> float:
        """How long each of the two sounds is."""
        return self.duration_s / (2.0 - self.overlap)

    @property
    def target_slot(self) -> tuple[float, float]:
        """Start and end of the target, in seconds."""
        start = 0.0 if self.target_first else self.duration_s - self.slot_s
        return start, start + self.slot_s

    @property
    def other_slot(self) -> tuple[float, float]:
        """Start and end of the other sound, in seconds."""
        start = self.duration_s - self.slot_s if self.target_first else 0.0
        return start, start + self.slot_s


def mix(spec: Mix, target: Float, other: Float, rate: int, noise: Float | None = None) -> dict[str, Samples]:
    """``mixture``, ``target`` and ``residual``, float32 ``[n]`` with ``n = round(duration * rate)``.

    ``target`` and ``other`` ``[m]`` are brought to their slots by :func:`fit`; ``noise`` ``[n]`` is needed where the
    spec has a noise. ``residual`` is all that is not the target. ``mixture == target + residual`` in float32, exactly.
    Raises :class:`InputError` where a sound is silent where its level is taken.
    """
    n = samples(spec.duration_s, rate)
    a, b = (_cut(slot, rate, n) for slot in (spec.target_slot, spec.other_slot))
    t, o = _placed("the target", target, a, rate, n), _placed("the other sound", other, b, rate, n)
    common = slice(max(a.start, b.start), min(a.stop, b.stop))
    both = common.stop - common.start > 2 * round(RAMP_S * rate)
    level_t = _level("the target", t[common if both else a], t[a])
    level_o = _level("the other sound", o[common if both else b], o[b])
    rest = o * (level_t / level_o)
    rest /= from_db(spec.snr_db)
    if spec.noise_snr_db is not None:
        if noise is None or noise.shape != (n,):
            raise InputError(f"this mixture needs a noise of {n} samples")
        rest = rest + noise * (_level("the target", t[a]) / _level("the noise", noise) / from_db(spec.noise_snr_db))
    whole = t + rest
    gain = min(from_db(spec.level_dbfs) / _level("the mixture", whole), PEAK / float(np.max(np.abs(whole))))
    stems = {"target": (gain * t).astype(np.float32), "residual": (gain * rest).astype(np.float32)}
    return {"mixture": stems["target"] + stems["residual"], **stems}


def trim(x: Float) -> Float:
    """``x`` ``[n]`` from its first to its last sound (see :data:`SILENCE`). Raises :class:`InputError` on silence."""
    peak = float(np.max(np.abs(x))) if len(x) else 0.0
    if peak == 0.0:
        raise InputError("is silent")
    loud = np.flatnonzero(np.abs(x) > SILENCE * peak)
    return x[loud[0] : loud[-1] + 1]


def fit(x: Float, n: int) -> Float:
    """``x`` ``[m]``, trimmed, then cut to ``n`` samples, or repeated where it is shorter."""
    x = trim(x)
    return np.tile(x, -(-n // len(x)))[:n]


def _cut(slot: tuple[float, float], rate: int, n: int) -> slice:
    return slice(round(slot[0] * rate), min(n, round(slot[1] * rate)))


def _placed(what: str, x: Float, slot: slice, rate: int, n: int) -> Float:
    try:
        sound = fit(x, slot.stop - slot.start)
    except InputError as e:
        raise InputError(f"{what} is silent") from e
    out = np.zeros(n)
    out[slot] = ramp(sound, rate, RAMP_S)
    return out


def _level(what: str, x: Float, whole: Float | None = None) -> float:
    """RMS of ``x``, part of ``whole``: next to silence there would make a giant of the rest."""
    level = root_mean_square(x)
    if level == 0.0 or (whole is not None and level < SILENCE * root_mean_square(whole)):
        raise InputError(f"{what} is silent where its level is taken", fix="Choose a longer overlap or another clip.")
    return level
