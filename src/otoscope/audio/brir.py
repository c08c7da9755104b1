"""Binaural room responses: reading measured ones, and putting a dry sound through one.

A response is an :class:`Audio` ``[2, n]``, left ear first. Azimuth is anticlockwise: 0 in front, 90 on the left, in
degrees, as in SOFA (AES69).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.signal import oaconvolve

from otoscope.audio import io
from otoscope.audio.resample import resample
from otoscope.audio.signals import set_level
from otoscope.core.audio import Audio
from otoscope.core.errors import InputError, UsageError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Measurement:
    """Where the source was, seen from the head, in one measurement of a SOFA file."""

    index: int
    azimuth_deg: float
    elevation_deg: float
    distance_m: float


def measured_brir(
    path: str | os.PathLike[str],
    *,
    azimuth_deg: float | None = None,
    elevation_deg: float = 0.0,
    distance_m: float | None = None,
    tolerance_deg: float = 5.0,
    tolerance_m: float = 0.25,
    rate: int | None = None,
) -> Audio:
    """A response from a two-channel sound file, or from the measurement of a ``.sofa`` file nearest to a direction.

    SOFA files need ``azimuth_deg``; of the measurements at the smallest angle the one nearest to ``distance_m`` is
    taken, and one that is off by more than a tolerance is refused. Other files hold a single response, so giving a
    direction for them is a :class:`UsageError`. Raises :class:`InputError` naming the file, also where the extra
    ``sofa`` is missing.
    """
    path = Path(path)
    if path.suffix.lower() != ".sofa":
        if azimuth_deg is not None or distance_m is not None:
            raise UsageError("holds one response; a direction cannot be chosen", where=str(path))
        return io.read(path, rate=rate, channels=2)
    if azimuth_deg is None:
        raise UsageError("holds many responses: which azimuth_deg is meant?", where=str(path))
    sofa = _open(path)
    found = _nearest(_measurements(sofa, path), azimuth_deg, elevation_deg, distance_m)
    off = _angle(found, azimuth_deg, elevation_deg)
    if off > tolerance_deg or (distance_m is not None and abs(found.distance_m - distance_m) > tolerance_m):
        raise InputError(
            f"has nothing within {tolerance_deg:g} degrees and {tolerance_m:g} m of azimuth {azimuth_deg:g}, elevation "
            f"{elevation_deg:g}, distance {distance_m}; the nearest is {found}",
            where=str(path),
            fix="Choose another direction or a wider tolerance.",
        )
    audio = Audio(_response(sofa, found.index, path).astype(np.float32), _rate(sofa, path))
    return audio if rate is None else resample(audio, rate)


def measurements(path: str | os.PathLike[str]) -> tuple[Measurement, ...]:
    """All measurements of a SOFA file, in its order."""
    path = Path(path)
    return _measurements(_open(path), path)


def convolve(
    audio: Audio, brir: Audio, *, length: Literal["full", "same"] = "full", level_dbfs: float | None = None
) -> Audio:
    """Mono ``audio`` ``[1, n]`` through ``brir`` ``[2, m]``: ``[2, n + m - 1]``, or its first ``n`` samples (``same``).

    ``level_dbfs`` sets the RMS of both ears together by one gain, which leaves their difference as it is. Raises
    :class:`InputError` on other channel counts or unequal rates.
    """
    if length not in ("full", "same"):
        raise UsageError(f"length is 'full' or 'same', got {length!r}")
    if audio.channels != 1 or brir.channels != 2:
        raise InputError(f"a mono sound and a two-ear response are needed, got {audio} and {brir}")
    if audio.rate != brir.rate:
        raise InputError(f"the sound has {audio.rate} Hz and the response {brir.rate} Hz", fix="Resample one of them.")
    y = oaconvolve(audio.samples.astype(np.float64), brir.samples.astype(np.float64), axes=-1)
    if length == "same":
        y = y[:, : audio.n]
    if level_dbfs is not None:
        y = set_level(y, level_dbfs)
    return Audio(y.astype(np.float32), audio.rate)


def _open(path: Path) -> Any:
    try:
        import sofar
    except ImportError as e:
        raise InputError(
            "reading SOFA files needs the extra 'sofa'", where=str(path), fix="pip install 'otoscope[sofa]'"
        ) from e
    if not path.is_file():
        raise InputError("no such file", where=str(path))
    try:
        sofa = sofar.read_sofa(str(path), verify=False, verbose=False)
    except Exception as e:  # the reader raises whatever the NetCDF library or its own checks come up with
        raise InputError(f"is not a readable SOFA file: {type(e).__name__}: {e}", where=str(path)) from e
    if not hasattr(sofa, "Data_IR") or np.ndim(sofa.Data_IR) != 3 or np.shape(sofa.Data_IR)[1] != 2:
        raise InputError(
            f"holds no two-ear impulse responses [measurement, 2, sample] but {sofa.GLOBAL_SOFAConventions}",
            where=str(path),
        )
    return sofa


def _rate(sofa: Any, path: Path) -> int:
    rates = np.unique(np.asarray(sofa.Data_SamplingRate, dtype=float))
    if len(rates) != 1 or rates[0] <= 0 or rates[0] % 1:
        raise InputError(f"has sampling rates {rates.tolist()}; one whole number of Hz is needed", where=str(path))
    return int(rates[0])


def _cartesian(values: Any, kind: str, path: Path) -> Array:
    x = np.atleast_2d(np.asarray(values, dtype=float))
    if str(kind).lower() == "cartesian":
        return x
    if str(kind).lower() != "spherical":
        raise InputError(f"has positions of the unknown type {kind!r}", where=str(path))
    azimuth, elevation = np.deg2rad(x[:, 0]), np.deg2rad(x[:, 1])
    unit = [np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)]
    return np.asarray(np.stack(unit, axis=1) * x[:, 2:3])


def _measurements(sofa: Any, path: Path) -> tuple[Measurement, ...]:
    source = _cartesian(sofa.SourcePosition, sofa.SourcePosition_Type, path)
    listener = _cartesian(sofa.ListenerPosition, sofa.ListenerPosition_Type, path)
    view = _cartesian(getattr(sofa, "ListenerView", [1, 0, 0]), getattr(sofa, "ListenerView_Type", "cartesian"), path)
    count = np.shape(sofa.Data_IR)[0]
    away = np.broadcast_to(source - listener, (count, 3))
    facing = np.broadcast_to(np.rad2deg(np.arctan2(view[:, 1], view[:, 0])), (count,))
    distance = np.linalg.norm(away, axis=1)
    elevation = np.rad2deg(np.arctan2(away[:, 2], np.hypot(away[:, 0], away[:, 1])))
    azimuth = np.rad2deg(np.arctan2(away[:, 1], away[:, 0])) - facing
    azimuth = (azimuth + 180.0) % 360.0 - 180.0
    return tuple(
        Measurement(k, round(float(a), 6), round(float(e), 6), round(float(d), 6))
        for k, (a, e, d) in enumerate(zip(azimuth, elevation, distance, strict=True))
    )


def _angle(m: Measurement, azimuth_deg: float, elevation_deg: float) -> float:
    """Great-circle angle in degrees between a measurement and a direction."""
    a, e = np.deg2rad([m.azimuth_deg, azimuth_deg]), np.deg2rad([m.elevation_deg, elevation_deg])
    cosine = np.sin(e[0]) * np.sin(e[1]) + np.cos(e[0]) * np.cos(e[1]) * np.cos(a[0] - a[1])
    return float(np.rad2deg(np.arccos(np.clip(cosine, -1, 1))))


def _nearest(
    all_of_them: tuple[Measurement, ...], azimuth_deg: float, elevation_deg: float, distance_m: float | None
) -> Measurement:
    def badness(m: Measurement) -> tuple[float, float, int]:
        far = 0.0 if distance_m is None else abs(m.distance_m - distance_m)
        return round(_angle(m, azimuth_deg, elevation_deg), 3), far, m.index

    return min(all_of_them, key=badness)


def _response(sofa: Any, index: int, path: Path) -> Array:
    """Both ears of one measurement, left first, with the file's extra delays (in samples) put back."""
    ears = np.asarray(sofa.Data_IR[index], dtype=float)
    delays = np.broadcast_to(np.atleast_2d(np.asarray(sofa.Data_Delay, dtype=float)), (len(sofa.Data_IR), 2))[index]
    if (delays < 0).any() or not np.isfinite(delays).all():
        raise InputError(f"has the delays {delays.tolist()} in measurement {index}", where=str(path))
    if delays.any():
        n = ears.shape[1] + int(np.ceil(delays.max())) + 32
        bins = np.arange(n // 2 + 1)
        turn = np.exp(-2j * np.pi * bins[None, :] * delays[:, None] / n)
        ears = np.fft.irfft(np.fft.rfft(ears, n) * turn, n)
    receivers = _cartesian(np.asarray(sofa.ReceiverPosition).reshape(2, 3), sofa.ReceiverPosition_Type, path)
    return np.asarray(ears[::-1] if receivers[0, 1] < receivers[1, 1] else ears)
