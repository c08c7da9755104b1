"""What is known of a model by its name, without loading it and without running anybody's code."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from otoscope.core.errors import OtoscopeError
from otoscope.core.naming import parse_spec
from otoscope.models.catalogue import MODELS
from otoscope.models.resolve import card_for

_WORDS = {"magnitude": "magnitude", "ipd": "interaural phase", "gcc": "cross-correlation", "waveform": "the waveform"}


@dataclass(frozen=True)
class Known:
    """``cues`` are what the model can use by construction; None where its card cannot be had here."""

    cues: frozenset[str] | None = None
    channels: int | None = None
    licence: str = ""
    source: str = ""
    summary: str = ""
    breaks: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """The cues as words."""
        if self.cues is None:
            return "not known here"
        if not self.cues:
            return "none (a closed form)"
        return ", ".join(_WORDS.get(c, c) for c in sorted(self.cues))

    @property
    def one_ear(self) -> bool:
        return self.channels == 1


@lru_cache(maxsize=256)
def known_of(model: str) -> Known:
    """The card of a registered name. A file, a folder or a hub id is not opened for a page."""
    spec = parse_spec(model)
    if spec.name not in MODELS:
        return Known()
    try:
        card = card_for(spec)
    except (OtoscopeError, ImportError):
        return Known()
    return Known(card.cues, card.channels, card.licence, card.source, card.summary, card.breaks, card.notes)
