"""Scenes at two ears for training the tiny binaural encoders: a source in a simulated room, and noise.

A batch is a pure function of (seed, step), so a run that was stopped goes on as if it had not been. Sources are the
package's voices and generator, and recordings where a manifest is given; rooms are image-source shoeboxes around a
spherical head. Such a head cannot tell front from back, so the target is the lateral angle. Ours.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.signal import fftconvolve

from otoscope.audio import io
from otoscope.audio.corpus import Clip, read_manifest
from otoscope.audio.generator import catalogue, generate
from otoscope.audio.rooms import RoomSpec, simulated_brir
from otoscope.audio.signals import from_db
from otoscope.audio.speech import HELD_VOICES, bundled_speech, load_speech

RATE, SECONDS = 16_000, 1.0
N = round(RATE * SECONDS)
#: Lateral angles: classes of 10 degrees from the right ear (-90) to the left (90).
CLASS_DEG = 10.0
CLASSES = 19
#: RMS of a source before the room.
LEVEL = from_db(-25.0)
#: Kept from training: a speaker, a fold, voices, and every third room.
HELD_SPEAKERS, HELD_FOLDS = ("nicolas",), (4,)

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Sources:
    """Mono sounds by kind; a scene draws the kind first, so that large kinds don't crowd out small ones. ``used`` are
    the clips behind them."""

    kinds: Sequence[Sequence[Array]]
    used: Sequence[Clip]


def held_out(clip: Clip) -> bool:
    """Whether a clip is kept from training. Speech and music of the librosa corpus serve tests only."""
    labels = clip.labels
    return (
        labels.get("speaker") in (*HELD_SPEAKERS, *HELD_VOICES)
        or labels.get("fold") in HELD_FOLDS
        or clip.corpus == "librosa"
    )


def sources(manifest: Path | None, *, held: bool, generated_per_label: int = 6) -> Sources:
    """The sounds to train on, or those held out. ``manifest``: recordings beside the package's own sounds."""
    by_kind: dict[str, list[Array]] = {}
    used: list[Clip] = []
    for clip in read_manifest(manifest) if manifest is not None else ():
        if held_out(clip) == held:
            by_kind.setdefault(clip.corpus, []).append(_mono(io.read(clip.path, rate=RATE).samples))
            used.append(clip)
    for clip in bundled_speech():
        if held_out(clip) == held:
            by_kind.setdefault("voices", []).append(_mono(load_speech(clip, rate=RATE).samples))
            used.append(clip)
    first = 10_000 if held else 0
    for kind in ("event", "phrase"):
        for label in catalogue()[kind]:
            for seed in range(first, first + generated_per_label):
                by_kind.setdefault(kind, []).append(_mono(generate(kind, label, seed, RATE, 2.0).samples))
    return Sources([by_kind[k] for k in sorted(by_kind)], used)


def _mono(x: NDArray[np.float32]) -> Array:
    return x.mean(axis=0).astype(np.float32)


def rooms(*, held: bool) -> list[RoomSpec]:
    """Twelve invented rooms, every third of which is held out; the first of each part has no reflections."""
    found = [
        RoomSpec((3.6 + 0.45 * i, 3.2 + 0.35 * ((5 * i) % 12), 2.5 + 0.08 * i), rt60_s=0.12 + 0.03 * i)
        for i in range(10)
    ]
    found = [
        RoomSpec((6.0, 5.0, 3.0), absorption=1.0),
        *found[:2],
        RoomSpec((5.0, 4.4, 2.8), absorption=1.0),
        *found[2:],
    ]
    return [room for i, room in enumerate(found) if (i % 3 == 0) == held]


@dataclass(frozen=True)
class Bank:
    """Responses ``[2, m]`` of several rooms at all azimuths, and the lateral angle of each in degrees."""

    responses: Sequence[Array]
    lateral_deg: NDArray[np.float64]


def bank(*, held: bool, azimuths: int = 36) -> Bank:
    """Every room at ``azimuths`` directions, each from a place of its own, 0.7 to 1.3 m away."""
    responses, lateral = [], []
    for r, room in enumerate(rooms(held=held)):
        for k in range(azimuths):
            azimuth = 360.0 * (k + (r % 4) / 4) / azimuths
            brir = simulated_brir(room, azimuth, 0.7 + 0.3 * (k % 3), RATE, seed=1000 * r + k + (7 if held else 0))
            responses.append(brir.samples)
            lateral.append(math.degrees(math.asin(math.sin(math.radians(azimuth)))))
    return Bank(responses, np.array(lateral))


def batch(found: Sources, responses: Bank, seed: int, step: int, size: int) -> tuple[Array, NDArray[np.float64]]:
    """Scenes ``[size, 2, N]`` and the lateral angles ``[size]`` (degrees) of their sources."""
    rng = np.random.default_rng((seed, step))
    x = np.empty((size, 2, N), dtype=np.float32)
    lateral = np.empty(size)
    for i in range(size):
        x[i], lateral[i] = _scene(found, responses, rng)
    return x, lateral


def _scene(found: Sources, responses: Bank, rng: np.random.Generator) -> tuple[Array, float]:
    k = int(rng.integers(len(responses.responses)))
    ears = _place(_source(found, rng), responses.responses[k], rng)
    snr = rng.uniform(-12.0, 25.0)
    noise = _noise(found, responses, rng)
    gain = math.sqrt(float(np.mean(ears**2)) / max(float(np.mean(noise**2)), 1e-12)) * from_db(-snr)
    mixed = (ears + gain * noise) * from_db(rng.uniform(-12.0, 3.0))
    return mixed.astype(np.float32), float(responses.lateral_deg[k])


def _source(found: Sources, rng: np.random.Generator) -> Array:
    """One second of sound of one kind, at the level of a source; never silent."""
    sounds = found.kinds[int(rng.integers(len(found.kinds)))]
    while True:
        parts, n = [], 0
        while n < N:
            one = sounds[int(rng.integers(len(sounds)))]
            start = int(rng.integers(max(1, len(one) - N)))
            parts.append(one[start : start + N])
            n += len(parts[-1])
        x = np.concatenate(parts)[:N].astype(np.float64)
        rms = float(np.sqrt(np.mean(x**2)))
        if rms > 1e-5:
            return (x * (LEVEL / rms)).astype(np.float32)


def _place(x: Array, response: Array, rng: np.random.Generator) -> NDArray[np.float64]:
    """At two ears, cut to :data:`N` samples after a random part of the response's travel time."""
    y = fftconvolve(x[None].astype(np.float64), response.astype(np.float64), axes=-1)
    start = int(rng.integers(max(1, y.shape[1] - N)))
    return y[:, start : start + N]


def _noise(found: Sources, responses: Bank, rng: np.random.Generator) -> NDArray[np.float64]:
    """Of one of four kinds: independent at the ears, the same at both, partly so, or another source elsewhere."""
    kind = rng.integers(4)
    if kind == 3:
        k = int(rng.integers(len(responses.responses)))
        return _place(_source(found, rng), responses.responses[k], rng)
    own = rng.standard_normal((2, N))
    common = np.broadcast_to(rng.standard_normal(N), (2, N))
    share = (0.0, 1.0, rng.uniform(0.0, 1.0))[kind]
    return np.sqrt(share) * common + np.sqrt(1.0 - share) * own
