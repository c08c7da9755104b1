"""The ablation ladder as conditions: names and parameters for the transforms of ``otoscope.audio.transforms``.

``high-pass:order=12`` sets a field of the transform. Rung L12 (a tone at 4 kHz) is the frequency axis of the task and
L13 (random weights) is ``init=random`` on the model's name, so neither is a condition.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

from otoscope.core.errors import UsageError
from otoscope.core.items import Item
from otoscope.core.naming import Scalar
from otoscope.core.registry import suggestions


@dataclass(frozen=True)
class Known:
    """A rung's place on the ladder, its class, and the fields that its name fixes."""

    rung: str
    target: str
    summary: str
    fixed: Mapping[str, Any]


def _known(rung: str, target: str, summary: str, **fixed: Any) -> Known:
    return Known(rung, f"otoscope.audio.transforms.{target}", f"{rung}: {summary}", fixed)


RUNGS: dict[str, Known] = {
    "left-only": _known("L1", "ears:LeftEar", "both ears get the left one; 0 dB by construction"),
    "diotic-downmix": _known("L2", "ears:Downmix", "both ears get (L + R) / 2; the tone of Spi cancels"),
    "ear-swap": _known("L3", "ears:SwapEars", "left and right exchanged"),
    "polarity": _known("L3", "ears:FlipPolarity", "both ears inverted"),
    "high-pass": _known("L4", "highpass:HighPass", "high-pass 2 kHz (order, phase, mask_db)"),
    "high-pass-masked": _known(
        "L4", "highpass:HighPass", "steep high-pass, then masking noise below it", order=12, mask_db=-30.0
    ),
    "mel-equalised": _known("L5", "equalise:EqualiseEnergy", "same energy in both ears per mel band and frame"),
    "level-offset": _known("L6", "levels:LevelOffset", "fixed level difference between the ears"),
    "level-rove": _known("L6", "levels:LevelRove", "random level per ear"),
    "vocoder": _known("L7", "vocoder:Vocoder", "50 Hz envelope vocoder (carriers=independent or shared)"),
    "magnitude-only": _known("L8", "hybrids:Hybrid", "the ears differ in magnitude, not in phase", keep="magnitude"),
    "phase-only": _known("L9", "hybrids:Hybrid", "the ears differ in phase, not in magnitude", keep="phase"),
    "ipd-random": _known("L10", "hybrids:RandomPhase", "interaural phase randomised per time-frequency cell"),
    "nu-masker": _known("L11", "rewrites:Rewrite", "independent noises in the two ears", condition="NuSpi"),
    "itd-target": _known("L14", "rewrites:Rewrite", "the target lags by a quarter period", itd_periods=0.25),
    "ild-target": _known("L14", "rewrites:Rewrite", "target 10 dB stronger in the left ear", condition="N0S_ild=10dB"),
    "tfs-removed": _known("L15", "vocoder:Vocoder", "temporal fine structure removed (for speech)", carriers="shared"),
    "envelope-removed": _known("L15", "vocoder:FlattenEnvelope", "temporal envelope removed (for speech)"),
}


@dataclass(frozen=True)
class RungCondition:
    """A rung on an item of the BMLD tasks: transforms of sounds are added to its inputs, a rewrite changes its
    stimulus.

    Raises :class:`UsageError` on a parameter that the transform does not have, and on items of other tasks.
    """

    version: ClassVar[int] = 1

    name: str
    params: tuple[tuple[str, Scalar], ...] = ()

    def __post_init__(self) -> None:
        self.transform()

    def transform(self) -> Any:
        """The transform (or rewrite) behind the name."""
        known = RUNGS[self.name]
        module, _, attribute = known.target.partition(":")
        factory = getattr(importlib.import_module(module), attribute)
        free = [f.name for f in fields(factory) if f.name not in known.fixed]
        for key, _value in self.params:
            if key not in free:
                near = suggestions(key, free) or free
                raise UsageError(
                    f"condition {self.name!r} has no parameter {key!r}",
                    fix=f"It has: {', '.join(near)}." if free else "It has none.",
                )
        return factory(**known.fixed, **dict(self.params))

    @property
    def label(self) -> Any:
        return {"rung": self.transform().describe()}

    def __call__(self, item: Item) -> Item:
        transform = self.transform()
        inputs: Any = item.inputs
        if hasattr(transform, "apply") and hasattr(inputs, "transforms"):
            return item.with_inputs(replace(inputs, transforms=(*inputs.transforms, transform)))
        if not hasattr(transform, "apply") and hasattr(inputs, "spec") and hasattr(inputs, "test"):
            return item.with_inputs(replace(inputs, spec=transform(inputs.spec), test=None))
        raise UsageError(f"condition {self.name!r} does not act on these items", where=item.id)
