"""A reference front end (numpy, one file each under ``reference/``) as an encoder."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from otoscope.core.audio import Audio
from otoscope.core.errors import UsageError
from otoscope.core.identity import describe
from otoscope.core.nouns import Card, Encoded, Layer
from otoscope.models.encoders.contract import check_inputs, pick_layers
from otoscope.models.shown import ShownModel

#: Checks that a front end is made to break.
_BREAKS = {"left-only": ("ears: hears the left ear only, by design",)}
#: Front ends whose weights come from their ``seed``: for them ``init=random`` says what they are.
_DRAWN = frozenset({"random-conv"})


class ReferenceEncoder(ShownModel):
    """``front`` has ``name, version, rate, channels, declared_cues, hop_s`` and ``frames(x [2, n]) -> [C, T, D]``;
    it is a frozen dataclass, so its fields are its identity. Each sound is analysed alone: there is no batch."""

    def __init__(self, front: Any, *, random_seed: int | None = None) -> None:
        if random_seed is not None:
            if front.name not in _DRAWN:
                raise UsageError(
                    f"{front.name!r} has no weights, so it has no random twin",
                    fix="Leave init out, or set twins to 0 for it.",
                )
            front = replace(front, seed=front.seed or random_seed)
        self.front = front

    @property
    def card(self) -> Card:
        front = self.front
        doc = (sys.modules[type(front).__module__].__doc__ or "").strip().splitlines()
        return Card(
            name=front.name,
            capability="encoder",
            summary=doc[0].rstrip(".") if doc else front.name,
            rate=front.rate,
            channels=front.channels,
            cues=front.declared_cues,
            source="reference front end (ours)",
            breaks=_BREAKS.get(front.name, ()),
            extra={"reference": True, "hop_s": front.hop_s},
        )

    def identity(self) -> Mapping[str, Any]:
        return {"kind": "reference", **describe(self.front)}

    def load(self) -> None:
        """There is nothing to load."""

    def encode(self, audio: Sequence[Audio], layers: Sequence[Layer] | None = None) -> list[Encoded]:
        """Frames ``[C, T, D]``, float32. One layer."""
        check_inputs(self.card, audio)
        out = []
        for sound in audio:
            states: dict[Layer, Any] = {"last": np.asarray(self.front.frames(sound.samples), dtype=np.float32)}
            out.append(Encoded(pick_layers(states, layers, self.front.name), self.front.hop_s))
        return out

    def fresh(self) -> ReferenceEncoder:
        return ReferenceEncoder(self.front)
