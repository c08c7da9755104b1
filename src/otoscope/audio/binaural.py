"""What a tone-in-noise stimulus for two ears is: a frozen description that goes to JSON and back.

Masker and target have an interaural configuration each, written in the field's notation: N0Spi is a noise that is the
same in both ears (interaural phase 0) with a tone of opposite polarity (pi). Left is the reference ear: the tone in
the left ear is the same in every target configuration. :mod:`otoscope.audio.stimuli` renders the description.
"""

from __future__ import annotations

import json
import math
import re
import zlib
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, ClassVar

import numpy as np

from otoscope.audio.erb import erb_hz
from otoscope.core.errors import InputError, UsageError

MASKERS = {
    "N0": "the same noise in both ears",
    "Npi": "the right ear has the opposite polarity",
    "Nu": "independent noises",
    "Nrho": "noises of interaural correlation rho",
    "Nm": "noise in the left ear only",
}
TARGETS = {
    "S0": "the same tone in both ears",
    "Spi": "the right ear has the opposite polarity",
    "Sm": "tone in the left ear only",
    "Stau": "the right ear lags by itd_us (ongoing; the gate is common)",
    "Sphi": "the right ear lags by phase_deg",
    "Sild": "the left ear is ild_db stronger",
}
SNR_DEFINITIONS = ("broadband", "erb", "e_over_n0")
NORMALISATIONS = ("none", "joint_n0", "channel_unit_variance", "joint_rms", "mono_rms")


@dataclass(frozen=True)
class BinauralSpec:
    """One tone in one noise. Levels are ensemble levels: the noise has ``level_dbfs`` RMS per ear in expectation.

    ``snr_db`` None is the noise alone. ``interaural_floor_db`` adds independent noise to each ear, that many dB re the
    masker. ``level_rove_db`` draws one gain within +/- that range per interval, common to both ears. ``normalise``:

    - ``none``;
    - ``joint_n0``: the gain that brings the left ear of the noise alone to ``level_dbfs``, used for both ears in all
      conditions of the seed;
    - ``channel_unit_variance``: each ear to mean 0 and variance 1, as in arXiv 2606.14820 (not for PCM files);
    - ``joint_rms``: one gain that brings both ears together to ``level_dbfs``;
    - ``mono_rms``: likewise for the mono sum (L + R) / 2.

    Raises :class:`UsageError` on unknown names, :class:`InputError` on values that cannot be a stimulus.
    """

    version: ClassVar[int] = 1

    frequency_hz: float = 500.0
    snr_db: float | None = -14.0
    snr_definition: str = "broadband"
    masker: str = "N0"
    rho: float = 1.0
    target: str = "Spi"
    itd_us: float = 0.0
    phase_deg: float = 0.0
    ild_db: float = 0.0
    low_hz: float = 50.0
    high_hz: float = 7500.0
    duration_s: float = 2.0
    ramp_s: float = 0.02
    level_dbfs: float = -25.0
    tone_phase: float | str = "random"
    interaural_floor_db: float | None = None
    normalise: str = "joint_n0"
    level_rove_db: float = 0.0

    def __post_init__(self) -> None:
        _choice("masker", self.masker, MASKERS)
        _choice("target", self.target, TARGETS)
        _choice("snr_definition", self.snr_definition, SNR_DEFINITIONS)
        _choice("normalise", self.normalise, NORMALISATIONS)
        for f in fields(self):
            value = getattr(self, f.name)
            if isinstance(value, int) and not isinstance(value, bool):
                object.__setattr__(self, f.name, float(value))
            elif isinstance(value, float) and not math.isfinite(value):
                raise InputError(f"{f.name} must be finite, got {value}")
        if isinstance(self.tone_phase, str) and self.tone_phase != "random":
            raise UsageError(f"tone_phase is a number of radians or 'random', got {self.tone_phase!r}")
        for name, owner in (("itd_us", "Stau"), ("phase_deg", "Sphi"), ("ild_db", "Sild")):
            if getattr(self, name) != 0.0 and self.target != owner:
                raise UsageError(f"{name} belongs to the target {owner}, not to {self.target}")
        if self.rho != 1.0 and self.masker != "Nrho":
            raise UsageError(f"rho belongs to the masker Nrho, not to {self.masker}")
        if not -1.0 <= self.rho <= 1.0:
            raise InputError(f"an interaural correlation lies in -1..1, got {self.rho}")
        if not 0.0 <= self.low_hz < self.high_hz:
            raise InputError(f"the noise band {self.low_hz}-{self.high_hz} Hz is empty")
        if not self.low_hz <= self.frequency_hz < self.high_hz or self.frequency_hz <= 0.0:
            raise InputError(f"the tone at {self.frequency_hz} Hz lies outside the noise band {self.band_name}")
        if self.duration_s <= 0.0:
            raise InputError(f"a stimulus of {self.duration_s} s has no samples")
        if not 0.0 <= 2.0 * self.ramp_s <= self.duration_s:
            raise InputError(f"two ramps of {self.ramp_s} s do not fit into {self.duration_s} s")
        if self.level_rove_db < 0.0:
            raise InputError(f"level_rove_db is a half-range and cannot be negative, got {self.level_rove_db}")

    # --- JSON -------------------------------------------------------------------------------------------------------

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> BinauralSpec:
        """Inverse of :meth:`to_json`. Raises :class:`UsageError` on unknown fields."""
        given: dict[str, Any] = json.loads(text)
        unknown = sorted(set(given) - {f.name for f in fields(cls)})
        if unknown:
            raise UsageError(f"a binaural stimulus has no field {', '.join(unknown)}")
        return cls(**given)

    # --- names and levels -------------------------------------------------------------------------------------------

    @property
    def band_name(self) -> str:
        return f"{self.low_hz:g}-{self.high_hz:g} Hz"

    @property
    def condition(self) -> str:
        """The name in the field's notation; :func:`condition` reads it back."""
        masker = self.masker if self.masker != "Nrho" else f"N_rho={self.rho:g} "
        if self.snr_db is None:
            return masker.strip()
        values = {
            "Stau": f"S_tau={self.itd_us:g}us",
            "Sphi": f"S_phi={self.phase_deg:g}deg",
            "Sild": f"S_ild={self.ild_db:g}dB",
        }
        return masker + values.get(self.target, self.target)

    def with_condition(self, name: str) -> BinauralSpec:
        """The same stimulus in another interaural configuration (``"N0Sm"``, ``"N0S_tau=500us"``, ...)."""
        return replace(self, **condition(name))

    def noise_alone(self) -> BinauralSpec:
        return replace(self, snr_db=None)

    def narrowband(self, bandwidth_hz: float | None = None) -> BinauralSpec:
        """The same stimulus with a masker ``bandwidth_hz`` wide around the tone (default: one ERB)."""
        half = (erb_hz(self.frequency_hz) if bandwidth_hz is None else bandwidth_hz) / 2.0
        return replace(self, low_hz=self.frequency_hz - half, high_hz=self.frequency_hz + half)

    @property
    def broadband_snr_db(self) -> float:
        """Tone power over the total noise power of one ear, in dB. Raises :class:`InputError` for the noise alone."""
        if self.snr_db is None:
            raise InputError("the noise alone has no signal-to-noise ratio")
        return self.snr_db - snr_offset_db(self)

    def snr_as(self, definition: str) -> float:
        """The SNR of this stimulus in dB by another ``definition``."""
        _choice("snr_definition", definition, SNR_DEFINITIONS)
        return self.broadband_snr_db + snr_offset_db(replace(self, snr_definition=definition))


def snr_offset_db(spec: BinauralSpec) -> float:
    """What ``spec.snr_definition`` reads above the broadband SNR, in dB.

    ``erb``: noise power within one ERB around the tone (less where the band ends sooner). ``e_over_n0``: energy of the
    gated tone over the noise power per Hz; raised-cosine ramps cost 5/8 of a ramp each.
    """
    if spec.snr_definition == "broadband":
        return 0.0
    band = spec.high_hz - spec.low_hz
    if spec.snr_definition == "erb":
        half = erb_hz(spec.frequency_hz) / 2.0
        inside = min(spec.high_hz, spec.frequency_hz + half) - max(spec.low_hz, spec.frequency_hz - half)
        return 10.0 * math.log10(band / inside)
    return 10.0 * math.log10(band * (spec.duration_s - 1.25 * spec.ramp_s))


_NAME = re.compile(
    r"(?P<masker>N0|Npi|Nu|Nm|N_rho=(?P<rho>[-+.\deE]+))\s*"
    r"(?P<target>S0|Spi|Sm|S_tau=(?P<itd_us>[-+.\deE]+)us|S_phi=(?P<phase_deg>[-+.\deE]+)deg|S_ild=(?P<ild_db>[-+.\deE]+)dB)?"
)


def condition(name: str) -> dict[str, Any]:
    """Fields of :class:`BinauralSpec` for ``"N0S0"``, ``"NuSpi"``, ``"N0S_tau=500us"``, ``"N_rho=0.9 Spi"``, ...

    A masker alone (``"N0"``) means no target (``snr_db`` None). Raises :class:`UsageError` on any other text.
    """
    match = _NAME.fullmatch(name.strip())
    if match is None:
        raise UsageError(
            f"there is no binaural condition {name!r}",
            fix="Write a masker (N0, Npi, Nu, Nm, N_rho=0.9) and a target "
            "(S0, Spi, Sm, S_tau=500us, S_phi=90deg, S_ild=10dB).",
        )
    values = {k: match[k] for k in ("rho", "itd_us", "phase_deg", "ild_db")}
    masker = "Nrho" if values["rho"] is not None else match["masker"]
    out: dict[str, Any] = {"masker": masker, "rho": 1.0, "itd_us": 0.0, "phase_deg": 0.0, "ild_db": 0.0}
    try:
        out |= {k: float(v) for k, v in values.items() if v is not None}
    except ValueError as e:
        raise UsageError(f"{name!r} holds something that is not a number") from e
    if match["target"] is None:
        return out | {"snr_db": None}
    owner = {"itd_us": "Stau", "phase_deg": "Sphi", "ild_db": "Sild"}
    return out | {"target": next((t for k, t in owner.items() if values[k] is not None), match["target"])}


def child(seed: int, *purpose: str | int | float) -> np.random.Generator:
    """The generator for one ``purpose`` under the root ``seed``. Different purposes are independent.

    The signal-to-noise ratio is never a purpose, so that one noise serves the whole SNR axis. Raises
    :class:`InputError` on a negative seed.
    """
    if seed < 0:
        raise InputError(f"seeds are whole numbers from 0, got {seed}")
    key = tuple(zlib.crc32(str(part).encode()) for part in purpose)
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


def _choice(field_name: str, value: str, known: Any) -> None:
    if value not in known:
        raise UsageError(f"there is no {field_name} {value!r}", fix=f"Use one of {', '.join(known)}.")
