"""The ablation ladder as a table: each rung, and what a phase-blind and a phase-using front end should show on it.

``paper`` rungs follow arXiv 2606.14820 as far as it is known; ``ours`` are added so that magnitude and phase can be
told apart. Expectations hold for the reference front ends ``logmel-ild`` and ``logmel-ipd`` at 500 Hz.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from otoscope.audio.transforms.base import Chain, Intact, Transform
from otoscope.audio.transforms.ears import Downmix, FlipPolarity, LeftEar, SwapEars
from otoscope.audio.transforms.equalise import EqualiseEnergy
from otoscope.audio.transforms.highpass import HighPass
from otoscope.audio.transforms.hybrids import Hybrid, RandomPhase
from otoscope.audio.transforms.levels import LevelOffset, LevelRove
from otoscope.audio.transforms.rewrites import Rewrite
from otoscope.audio.transforms.vocoder import FlattenEnvelope, Vocoder
from otoscope.core.errors import UsageError

#: ``signal``: transform of rendered sounds. ``spec``: another stimulus. ``model``: an axis of the model, the stimulus
#: stays. ``speech``: transform of a speech triplet.
Kind = Literal["signal", "spec", "model", "speech"]


@dataclass(frozen=True)
class Rung:
    """One row. ``transform`` is None for the axis that belongs to the model; ``note`` says what to beware of."""

    id: str
    title: str
    kind: Kind
    transform: Transform | Rewrite | None
    origin: Literal["paper", "ours"]
    expect_phase_blind: str
    expect_phase_using: str
    note: str = ""


_HIGH_PASS_NOTE = "the ratio has no scale: gate it by the distances"

_RUNGS = (
    Rung("L0", "intact", "signal", Intact(), "paper", "positive at low SNR", "positive"),
    Rung("L1", "left ear only", "signal", LeftEar(), "paper", "0 exactly", "0 exactly", "zero by construction"),
    Rung("L2", "diotic downmix", "signal", Downmix(), "ours", "undefined", "undefined", "the tone of Spi cancels"),
    Rung("L3-swap", "ears swapped", "signal", SwapEars(), "ours", "unchanged", "unchanged in the mean"),
    Rung("L3-polarity", "both ears inverted", "signal", FlipPolarity(), "ours", "unchanged", "unchanged"),
    Rung("L4-order4-zero", "high-pass 2 kHz, order 4, zero phase", "signal", HighPass(order=4), "paper",
         "unchanged below 2 kHz", "unchanged below 2 kHz", "the attenuated tone is still seen by any log spectrum"),
    Rung("L4-order4-minimum", "high-pass 2 kHz, order 4, minimum phase", "signal", HighPass(order=4, phase="minimum"),
         "paper", "unchanged below 2 kHz", "unchanged below 2 kHz",
         "the attenuated tone is still seen by any log spectrum"),
    Rung("L4-order12-zero", "high-pass 2 kHz, order 12, zero phase", "signal", HighPass(order=12), "paper",
         "undefined below 2 kHz", "undefined below 2 kHz", _HIGH_PASS_NOTE),
    Rung("L4-order12-minimum", "high-pass 2 kHz, order 12, minimum phase", "signal",
         HighPass(order=12, phase="minimum"), "paper", "undefined below 2 kHz", "undefined below 2 kHz",
         _HIGH_PASS_NOTE),
    Rung("L4-masked", "high-pass 2 kHz, order 12, then masking noise below 2 kHz", "signal",
         HighPass(order=12, mask_db=-30.0), "ours", "not detected below 2 kHz", "not detected below 2 kHz"),
    Rung("L5", "energy equalised per mel band and frame", "signal", EqualiseEnergy(), "paper", "shrinks", "kept"),
    Rung("L6-offset", "fixed level difference of 5 dB", "signal", LevelOffset(), "ours", "lost or biased", "kept"),
    Rung("L6-rove", "level rove per ear, +/- 5 dB", "signal", LevelRove(), "ours", "lost or biased", "kept"),
    Rung("L7-independent", "50 Hz vocoder, independent carriers", "signal", Vocoder("independent"), "paper",
         "envelope cue only", "lost"),
    Rung("L7-shared", "50 Hz vocoder, shared carriers", "signal", Vocoder("shared"), "ours",
         "kept", "as the phase-blind one",),
    Rung("L8", "magnitude-only hybrid", "signal", Hybrid("magnitude"), "ours", "kept", "0",
         "publish the residue beside the score"),
    Rung("L9", "phase-only hybrid", "signal", Hybrid("phase"), "ours", "shrinks", "kept",
         "publish the residue beside the score"),
    Rung("L10", "interaural phase randomised", "signal", RandomPhase(), "ours", "shrinks", "lost"),
    Rung("L11", "independent maskers (NuSpi)", "spec", Rewrite(condition="NuSpi"), "ours", "0", "0"),
    Rung("L12", "tone at 4 kHz", "spec", Rewrite(frequency_hz=4000.0), "ours", "flat or higher",
         "positive, unless phase ends at 1.5 kHz as in the ear"),
    Rung("L13", "random weights, same architecture", "model", None, "ours", "null band", "null band",
         "an axis of the model: the stimulus stays as it is"),
    Rung("L14-itd", "target lags by a quarter period", "spec", Rewrite(itd_periods=0.25), "paper",
         "positive at low SNR", "positive",
         "the ears still differ in magnitude, through the cross term of noise and tone"),
    Rung("L14-ild", "target 10 dB weaker in the right ear", "spec", Rewrite(condition="N0S_ild=10dB"), "paper",
         "near 0, then negative", "near 0, then negative",
         "the right ear holds less target than in the reference: compare models, not with 0"),
    Rung("L15", "speech through a room", "speech", Intact(), "paper", "positive", "positive",
         "broadband envelopes differ in every band"),
    Rung("L15-no-fine-structure", "speech, fine structure removed", "speech", Vocoder("shared"), "ours",
         "positive", "lost"),
    Rung("L15-no-envelope", "speech, envelope removed", "speech", FlattenEnvelope(), "ours", "shrinks", "positive"),
)  # fmt: skip


def ladder() -> dict[str, Rung]:
    """All rungs by id, in order."""
    return {rung.id: rung for rung in _RUNGS}


_CLASSES: dict[str, type] = {
    c.__name__: c
    for c in (Intact, LeftEar, Downmix, SwapEars, FlipPolarity, HighPass, EqualiseEnergy, LevelOffset, LevelRove,
              Vocoder, FlattenEnvelope, Hybrid, RandomPhase, Rewrite)
}  # fmt: skip


def from_description(description: Mapping[str, Any]) -> Any:
    """The transform (or rewrite) whose ``describe()`` this is.

    Raises :class:`UsageError` on an unknown class, on unknown fields, and on a version other than today's.
    """
    given = dict(description)
    name, version = given.pop("class", None), given.pop("version", None)
    if name == "Chain":
        return Chain(tuple(from_description(step) for step in given["steps"]))
    if name not in _CLASSES:
        known = ", ".join(["Chain", *sorted(_CLASSES)])
        raise UsageError(f"there is no stimulus transform {name!r}", fix=f"Known: {known}.")
    cls = _CLASSES[name]
    if version != cls.version:  # type: ignore[attr-defined]
        raise UsageError(f"{name} is at version {cls.version}, not {version}")  # type: ignore[attr-defined]
    try:
        return cls(**given)
    except TypeError as e:
        raise UsageError(f"{name} does not have these fields: {e}") from e
