"""Binaural responses of simulated rooms.

Image sources of a shoebox room come from pyroomacoustics (Allen and Berkley, J. Acoust. Soc. Am. 65, 1979); each of
them is brought to the ears of a spherical head (:mod:`otoscope.audio.head`). Putting the two together, the choice of
positions and the calibration of the absorption are ours. Walls absorb alike at all frequencies, air not at all.
Azimuth is anticlockwise in degrees: 0 in front, 90 on the left.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

import numpy as np
import pyroomacoustics as pra
from numpy.typing import NDArray

from otoscope.audio import head
from otoscope.audio.brir import Measurement, convolve, measured_brir, measurements
from otoscope.core.audio import Audio
from otoscope.core.errors import UsageError

__all__ = [
    "Measurement",
    "RoomSpec",
    "convolve",
    "measured_brir",
    "measurements",
    "named_rooms",
    "reverberation_time",
    "simulated_brir",
]

Array = NDArray[np.float64]

#: Images are kept up to this order; beyond it a room is too small for the reverberation asked for.
_HIGHEST_ORDER = 120
#: Least distance of the head and of the source from any wall, in metres.
_HEAD_MARGIN, _SOURCE_MARGIN = 0.5, 0.3
_SENSIBLE_TRIES = 2000


@dataclass(frozen=True)
class RoomSpec:
    """A shoebox room of ``size_m`` (length, width, height) with either a reverberation time or an absorption.

    ``rt60_s`` is reached within 5 % (T30 in the middle of the room) by adjusting the absorption; ``absorption`` is the
    energy share that a wall takes at every reflection, 1 for no reflections at all. ``head`` is ``sphere``, or
    ``open`` for two omnidirectional receivers 17.5 cm apart with nothing between them.
    """

    size_m: tuple[float, float, float]
    rt60_s: float | None = None
    absorption: float | None = None
    head: head.Head = "sphere"
    ear_height_m: float = 1.4

    def __post_init__(self) -> None:
        if len(self.size_m) != 3 or min(self.size_m) < 2 * _HEAD_MARGIN + 0.2:
            raise UsageError(f"a room has three sides of at least {2 * _HEAD_MARGIN + 0.2} m, got {self.size_m}")
        if (self.rt60_s is None) == (self.absorption is None):
            raise UsageError("a room has either rt60_s or absorption", fix="Give one of the two.")
        if self.rt60_s is not None and not self.rt60_s > 0:
            raise UsageError(f"rt60_s must be positive, got {self.rt60_s}", fix="Use absorption=1 for no reflections.")
        if self.absorption is not None and not 0 < self.absorption <= 1:
            raise UsageError(f"absorption lies above 0 and up to 1, got {self.absorption}")
        if self.head not in ("sphere", "open"):
            raise UsageError(f"head is 'sphere' or 'open', got {self.head!r}")
        if not _SOURCE_MARGIN <= self.ear_height_m <= self.size_m[2] - _SOURCE_MARGIN:
            raise UsageError(f"ears at {self.ear_height_m} m do not fit a room {self.size_m[2]} m high")

    @property
    def label(self) -> str:
        """One line for tables; it says that the room is simulated."""
        walls = f"RT60 {self.rt60_s:g} s" if self.rt60_s is not None else f"absorption {self.absorption:g}"
        ears = "spherical head" if self.head == "sphere" else "two open receivers"
        return f"simulated room of {' x '.join(f'{side:g}' for side in self.size_m)} m, {walls}, {ears}"


_ROOMS = MappingProxyType(
    {
        "dry": RoomSpec((4.0, 3.5, 2.6), rt60_s=0.15),
        "office": RoomSpec((5.2, 4.1, 2.8), rt60_s=0.4),
        "lecture": RoomSpec((11.5, 8.2, 3.6), rt60_s=0.8),
        "hall": RoomSpec((26.0, 17.0, 11.0), rt60_s=1.7),
    }
)


def named_rooms() -> Mapping[str, RoomSpec]:
    """Four simulated rooms of ours, from dry to hall. They are invented, not models of measured rooms."""
    return _ROOMS


def simulated_brir(room: RoomSpec, azimuth_deg: float, distance_m: float, rate: int, seed: int) -> Audio:
    """Response ``[2, n]`` at ``rate`` Hz to a source at ear height, ``azimuth_deg`` and ``distance_m`` from the head.

    ``seed`` draws where head and source stand; with the same seed and distance a new azimuth turns the head and leaves
    both where they are. The time of flight is kept; an unobstructed source at 1 m has a low-frequency gain of 1.
    Raises :class:`UsageError` where the distance does not fit the room or its reverberation cannot be had.
    """
    if not isinstance(rate, int | np.integer) or rate <= 0:
        raise UsageError(f"a sample rate must be a positive whole number of Hz, got {rate!r}")
    if not 0.3 <= distance_m < math.inf or not math.isfinite(azimuth_deg):
        raise UsageError(f"azimuth {azimuth_deg} and distance {distance_m} m: the source must be 0.3 m away or more")
    listener, source, bearing = _places(room, distance_m, seed)
    decay = _decay_s(room)
    images, gains = _images(room, _absorption(room), decay, source)
    away = images - listener[:, None]
    distances = np.linalg.norm(away, axis=0)
    n = math.ceil(rate * (distance_m / head.SPEED_OF_SOUND + decay + 0.005))
    view = bearing - math.radians(azimuth_deg)
    response = head.ears(away / distances, distances, gains, view, n, int(rate), room.head)
    return Audio(response.astype(np.float32), int(rate))


def reverberation_time(response: Audio, decay_db: float = 30.0) -> float:
    """Seconds for 60 dB, extrapolated from the first ``decay_db`` below -5 dB of the backward-integrated energy;
    the mean over channels."""
    return float(np.mean([pra.experimental.measure_rt60(x, response.rate, decay_db) for x in response.samples]))


def _places(room: RoomSpec, distance_m: float, seed: int) -> tuple[Array, Array, float]:
    """Head, source, and the direction from one to the other in the room's own axes."""
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise UsageError(f"a seed is a whole number from 0 up, got {seed!r}")
    rng = np.random.default_rng([int(seed), 0x6272])
    length, width, _ = room.size_m
    for _ in range(_SENSIBLE_TRIES):
        x, y = (rng.uniform(_HEAD_MARGIN, side - _HEAD_MARGIN) for side in (length, width))
        bearing = rng.uniform(-math.pi, math.pi)
        sx, sy = x + distance_m * math.cos(bearing), y + distance_m * math.sin(bearing)
        if _SOURCE_MARGIN <= sx <= length - _SOURCE_MARGIN and _SOURCE_MARGIN <= sy <= width - _SOURCE_MARGIN:
            return np.array([x, y, room.ear_height_m]), np.array([sx, sy, room.ear_height_m]), bearing
    raise UsageError(f"a source {distance_m} m away does not fit into a room of {room.size_m} m")


def _decay_s(room: RoomSpec) -> float:
    """How long the response has to be: the reverberation time, by Sabine's formula where the absorption is given."""
    if room.rt60_s is not None:
        return room.rt60_s
    if room.absorption == 1:
        return 0.0
    x, y, z = room.size_m
    return 0.1611 * x * y * z / (2 * (x * y + y * z + x * z) * float(room.absorption or 1))


def _images(room: RoomSpec, absorption: float, decay_s: float, source: Array) -> tuple[Array, Array]:
    """Image sources ``[3, k]`` and their amplitude factors ``[k]``, covering ``decay_s`` seconds of travel."""
    order = 0
    if decay_s > 0:
        pairs = ((0, 1), (1, 2), (0, 2))
        reach = min(room.size_m[i] * room.size_m[j] / math.hypot(room.size_m[i], room.size_m[j]) for i, j in pairs)
        order = math.ceil(head.SPEED_OF_SOUND * decay_s / reach)
    if order > _HIGHEST_ORDER:
        raise UsageError(
            f"{decay_s:.2f} s of reverberation in {room.size_m} m need reflections of order {order}",
            fix=f"Make the room larger or more absorbing: the limit is order {_HIGHEST_ORDER}.",
        )
    # The rate plays no part in the positions of the images.
    shoebox = pra.ShoeBox(list(room.size_m), fs=16_000, materials=pra.Material(absorption), max_order=order)
    shoebox.add_source(list(source))
    shoebox.add_microphone(np.array(room.size_m)[:, None] / 2)
    shoebox.image_source_model()
    found = shoebox.sources[0]
    return found.images.astype(np.float64), found.damping[0].astype(np.float64)


@lru_cache(maxsize=64)
def _absorption(room: RoomSpec) -> float:
    """The given absorption, or the one at which the simulated decay has the wanted time."""
    if room.absorption is not None:
        return room.absorption
    wanted = float(room.rt60_s or 0.0)
    x, y, z = room.size_m
    absorption = min(0.95, 0.1611 * x * y * z / (2 * (x * y + y * z + x * z) * wanted))
    for _ in range(8):
        found = _simulated_time(room, absorption, wanted)
        if abs(found / wanted - 1) < 0.03:
            return absorption
        absorption = min(0.99, absorption * (found / wanted) ** 0.8)
    if abs(found / wanted - 1) < 0.05:
        return absorption
    raise UsageError(
        f"a room of {room.size_m} m cannot be given a reverberation time of {wanted} s (nearest {found:.2f} s)",
        fix="Choose another size or time, or give the absorption.",
    )


def _simulated_time(room: RoomSpec, absorption: float, decay_s: float) -> float:
    """Mean T30 at two places well inside the room."""
    size = np.array(room.size_m)
    images, gains = _images(room, absorption, decay_s, size * [0.31, 0.37, 0.47])
    times = []
    for place in ([0.64, 0.57, 0.52], [0.43, 0.71, 0.39]):
        away = images - (size * place)[:, None]
        distances = np.linalg.norm(away, axis=0)
        n = math.ceil(16_000 * (decay_s + 0.02))
        response = head.ears(away / distances, distances, gains, 0.0, n, 16_000, "open")
        times.append(reverberation_time(Audio(response.astype(np.float32), 16_000)))
    return float(np.mean(times))
