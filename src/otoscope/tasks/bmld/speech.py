"""The ecological test: speech through a room in diotic noise, its right ear inverted or not (arXiv 2606.14820, sec. 4).

The target of ``s0`` is speech as two ears hear it in a room, so it is *not* diotic (a room breaks N0-like exactness);
the noise is diotic. Items cross clips with rooms and SNRs. Significant speech cells say little about phase: speech has
envelope cues in every band, so read them beside the ``tfs-removed`` and ``envelope-removed`` conditions.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from otoscope.audio.binaural import BinauralSpec
from otoscope.audio.brir import measured_brir
from otoscope.audio.corpus import Clip, read_manifest, scan_folder
from otoscope.audio.io import read
from otoscope.audio.resample import resample
from otoscope.audio.rooms import named_rooms, simulated_brir
from otoscope.audio.speech import bundled_speech
from otoscope.audio.stimuli import in_room, render, speech_triplet, to_audio
from otoscope.core.audio import Audio
from otoscope.core.errors import InputError, UsageError
from otoscope.core.identity import file_digest
from otoscope.core.items import Item
from otoscope.core.nouns import Card, Decision, Embedded, Encode, Request, Row
from otoscope.results.scoring import Measure
from otoscope.tasks.bmld.distance import TRIPLET, embedded_rows, noise_seed, whole
from otoscope.tasks.bmld.grids import numbers, seeds_per_shard
from otoscope.tasks.bmld.measures import curve_measures, summary_measures
from otoscope.tasks.bmld.signals import Steps, changed, changed_noise

Float = NDArray[np.float64]

#: Distance of the talker in the simulated rooms.
DISTANCE_M = 1.5


@dataclass(frozen=True)
class SpeechInputs:
    """A triplet whose target is ``duration_s`` of a clip through a room; same names as for tones."""

    names: ClassVar[tuple[str, ...]] = TRIPLET

    clip: Clip
    room: str
    azimuth_deg: float
    brir: str | None
    snr_db: float
    duration_s: float
    seed: int
    transforms: Steps = ()

    def render(self, rate: int) -> dict[str, Audio]:
        # Frequency and SNR of the spec belong to its tone, and only its noise is used here.
        noise = BinauralSpec(duration_s=self.duration_s, snr_db=None, normalise="none")
        target = _heard(self.clip, self.room, self.azimuth_deg, self.brir, self.duration_s, rate)
        raw = speech_triplet(target, render(noise, self.seed, rate), self.snr_db)
        signals = changed(raw, self.transforms, rate, self.seed, noise)
        signals["n0_other"] = changed_noise(noise, self.transforms, rate, self.seed + 1)
        return to_audio(signals, rate)

    def describe(self) -> Any:
        return {
            "clip": self.clip.sha256,
            "room": self.room if self.brir is None else {"measured": self.brir},
            "azimuth_deg": self.azimuth_deg,
            "snr_db": self.snr_db,
            "duration_s": self.duration_s,
            "seed": self.seed,
            "transforms": [t.describe() for t in self.transforms],
        }


@functools.lru_cache(maxsize=64)
def _heard(clip: Clip, room: str, azimuth: float, brir: str | None, duration_s: float, rate: int) -> Float:
    """The clip ``[2, n]`` in the room, from its first sound on, exactly ``duration_s`` long (repeated if shorter)."""
    mono = resample(read(clip.path), rate).mono().samples[0].astype(np.float64)
    n = round(duration_s * rate)
    loud = np.flatnonzero(np.abs(mono) > 0.05 * np.max(np.abs(mono)))
    if len(loud) == 0:
        raise InputError("is silent", where=str(clip.path))
    mono = mono[loud[0] :]
    mono = np.tile(mono, -(-n // len(mono)))[:n]
    if brir is None:
        response = simulated_brir(named_rooms()[room], azimuth, DISTANCE_M, rate, seed=0)
    else:
        chosen = azimuth if brir.lower().endswith(".sofa") else None  # other files hold one response
        response = measured_brir(brir, azimuth_deg=chosen, rate=rate)
    heard = in_room(mono, response.samples.astype(np.float64))
    heard.flags.writeable = False
    return heard


@dataclass(frozen=True)
class SpeechTask:
    """Parameters: ``data`` (a manifest.jsonl or a folder; default: the speech in the package), ``rooms`` and
    ``azimuths`` (crossed), or ``brir`` (a .wav or .sofa response instead of the simulated rooms), ``snrs``,
    ``n_clips`` (spread over the groups), ``duration_s``, ``min_s`` (shorter clips are not used, and are counted)."""

    version: ClassVar[int] = 1
    rounds: ClassVar[int] = 1
    keeps_outputs: ClassVar[bool] = False

    data: str | None = None
    rooms: str = "dry office lecture"
    azimuths: str | float = "0 45"
    brir: str | None = None
    snrs: str | float = "-18 -12 -6 0"
    n_clips: int = 6
    duration_s: float = 2.0
    min_s: float = 1.0
    seed: int = 0
    name: str = "bmld/speech"

    def __post_init__(self) -> None:
        known = named_rooms()
        for room in self.room_axis:
            if self.brir is None and room not in known:
                raise UsageError(f"there is no room {room!r}", fix=f"There are: {', '.join(sorted(known))}.")
        if self.n_clips < 1:
            raise UsageError(f"n_clips must be at least 1, got {self.n_clips}")
        numbers(self.snrs, "snrs")
        numbers(self.azimuths, "azimuths")

    @property
    def room_axis(self) -> tuple[str, ...]:
        return ("measured",) if self.brir is not None else tuple(self.rooms.split())

    @property
    def points(self) -> list[tuple[str, float, float]]:
        azimuths, snrs = numbers(self.azimuths, "azimuths") or (), numbers(self.snrs, "snrs") or ()
        return [(room, a, snr) for room in self.room_axis for a in azimuths for snr in snrs]

    @property
    def shard_items(self) -> int:
        return len(self.points) * seeds_per_shard(self.points, 48)

    def clips(self) -> list[Clip]:
        """The clips that are used: long enough, one group after the other, in a fixed order."""
        return list(_choose(self.data, self.min_s, self.n_clips))

    def identity(self) -> Mapping[str, Any]:
        return {
            "name": "bmld/speech",
            "version": self.version,
            "clips": [c.sha256 for c in _choose(self.data, self.min_s, None)],
            "points": self.points,
            "brir": None if self.brir is None else _file_identity(self.brir),
            "rooms": None if self.brir is not None else [named_rooms()[r] for r in self.room_axis],
            "duration_s": self.duration_s,
            "seed": self.seed,
        }

    def accepts(self, card: Card) -> str | None:
        return None if card.capability == "encoder" else "speech is put to encoders"

    def items(self, round: int = 0, rows: Any = None) -> Sequence[Item]:
        return [self._item(i, clip, *point) for i, clip in enumerate(self.clips()) for point in self.points]

    def _item(self, index: int, clip: Clip, room: str, azimuth: float, snr: float) -> Item:
        place = f"{room}/{azimuth:g}deg"
        name = f"c{index:04d}-{place}-{snr:+g}dB"
        inputs = SpeechInputs(clip, room, azimuth, self.brir, snr, self.duration_s, noise_seed(self.seed, index))
        factors = {"room": place, "snr_db": whole(snr), "speaker": clip.group}
        return Item(name, name, clip.group or clip.name, inputs, factors)

    def request(self, item: Item, card: Card) -> Request:
        return Encode(TRIPLET, repeat="n0")

    def score(self, item: Item, output: Embedded | Decision) -> list[Row]:
        if not isinstance(output, Embedded):
            raise InputError("speech is put to encoders", where=item.id)
        return embedded_rows(output, "euclidean")

    def fit_readout(self, items: Sequence[Item], outputs: Sequence[Any]) -> list[tuple[Item, list[Row]]]:
        raise InputError("the speech task learns nothing across items")

    def measures(self) -> Sequence[Measure]:
        cell = ("room", "snr_db")
        return [*curve_measures(cell), *summary_measures(cell, "room")]


@functools.lru_cache(maxsize=8)
def _choose(data: str | None, min_s: float, n: int | None) -> tuple[Clip, ...]:
    """Clips of at least ``min_s``: the first of every group, then the second of every group, and so on."""
    clips = _all_clips(data)
    by_group: dict[str, list[Clip]] = {}
    for clip in clips:
        if clip.duration_s >= min_s:
            by_group.setdefault(clip.group or clip.name, []).append(clip)
    if not by_group:
        where = data or "the package's speech"
        raise InputError(f"holds no clip of {min_s:g} s or more", where=where, fix="Lower min_s.")
    rounds = max(len(v) for v in by_group.values())
    ordered = [clips[k] for k in range(rounds) for _, clips in sorted(by_group.items()) if k < len(clips)]
    if n is not None and n > len(ordered):
        raise UsageError(f"only {len(ordered)} clips are long enough, not {n}", fix="Lower n_clips or min_s.")
    return tuple(ordered[:n])


def _all_clips(data: str | None) -> Sequence[Clip]:
    if data is None:
        return bundled_speech()
    path = Path(data)
    if path.suffix == ".jsonl" or (path / "manifest.jsonl").is_file():
        spoken = [c for c in read_manifest(path) if "transcript" in c.labels or c.labels.get("kind") == "speech"]
        return spoken or read_manifest(path)
    return scan_folder(path, on_unreadable="raise").clips


def _file_identity(path: str) -> str:
    if not Path(path).is_file():
        raise InputError("no such file", where=path, fix="Name a .wav with two channels, or a .sofa.")
    return file_digest(Path(path))
