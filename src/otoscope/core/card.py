"""The card of a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from otoscope.core.display import Displayed, Shown

Capability = Literal["encoder", "observer", "audiolm", "separator"]
Layer = int | str


@dataclass(frozen=True)
class Card(Displayed):
    """What is known of a model without loading it."""

    name: str
    capability: Capability
    summary: str
    rate: int | None  # Hz; None: any
    channels: int  # channels the network takes at once
    cues: frozenset[str] = frozenset()  # of {"magnitude", "ipd", "gcc", "waveform"}: what it can use by construction
    licence: str = ""
    hub_id: str | None = None
    revision: str | None = None
    source: str = ""  # paper, equation
    notes: tuple[str, ...] = ()  # traps a user must know
    breaks: tuple[str, ...] = ()  # conformance checks that the model itself breaks, with the reason
    quantities: frozenset[str] = frozenset()  # of observers: what they can be asked
    fixed_duration_s: float | None = None  # the network wants exactly this much
    layers: tuple[Layer, ...] = ("last",)
    extra: Mapping[str, Any] = field(default_factory=dict)
    trained_on: frozenset[str] = field(default=frozenset(), repr=False)  # sha256 of recordings, where they are known

    def __repr__(self) -> str:
        return f"Card({self.name!r}, {self.capability}, {_rate(self.rate)}, {_channels(self.channels)})"

    def facts(self) -> dict[str, Any]:
        """What a user reads, in order: a list has a line for each element, a tuple is of short words."""
        return {
            "model": self.name,
            "what it is": self.summary,
            "capability": self.capability,
            "rate": _rate(self.rate),
            "channels": self.channels,
            "cues": tuple(sorted(self.cues)),
            "asked for": tuple(sorted(self.quantities)),
            "layers": tuple(map(str, self.layers)),
            "hub id": self.hub_id,
            "revision": self.revision,
            "licence": self.licence,
            "source": self.source,
            "notes": list(self.notes),
            "breaks": list(self.breaks),
            **self.extra,
        }

    def shown(self) -> Shown:
        facts = self.facts()
        return Shown(facts.pop("model"), facts)


def _rate(rate: int | None) -> str:
    return f"{rate} Hz" if rate else "any"


def _channels(n: int) -> str:
    return f"{n} channel{'' if n == 1 else 's'}"
