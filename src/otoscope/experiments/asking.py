"""One question about one's own sound, without and with interventions: the smallest experiment there is.

Nothing is stored. The bare model answers first, after a warm-up of one token that is not timed, so that the figures
beside each other are of the same kind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from otoscope.audio import io
from otoscope.core.audio import Audio
from otoscope.core.errors import UsageError
from otoscope.core.nouns import Prompt, Reply
from otoscope.interventions.catalogue import resolve_intervention


@dataclass(frozen=True)
class Asked:
    """An answer under one intervention ("none": the bare model). ``did`` is what the intervention reports; of the
    bare model, the bytes of its cache."""

    intervention: str
    reply: Reply
    did: Mapping[str, float] = field(default_factory=dict)
    notes: Sequence[str] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        r = self.reply
        return {
            "intervention": self.intervention,
            "text": r.text,
            "ended": r.ended,
            "tokens": {"audio": r.tokens.audio, "text": r.tokens.text, "output": r.tokens.output},
            "seconds": dict(r.seconds),
            "first_token_s": r.first_token_s,
            "per_token_s": r.per_token_s,
            "peak_bytes": dict(r.peak_bytes),
            "did": dict(self.did),
            "notes": list(self.notes),
        }


def clip_of(path: str | Path, rate: int) -> Audio:
    """A whole file at ``rate``, its channels averaged. Raises :class:`InputError`, naming the file."""
    return io.read(path, rate=rate).mono()


def ask(model: Any, prompt: Prompt, interventions: Sequence[str] = (), max_new_tokens: int = 256) -> list[Asked]:
    """The bare model's answer, then one under each of ``interventions``. Raises :class:`UsageError` where ``model``
    answers no questions, and what the model raises on a prompt that it cannot take."""
    if model.card.capability != "audiolm":
        what = f"is a model of the kind {model.card.capability}, which answers no questions"
        fix = "Name an audio language model: a hub id, or a folder of its files."
        raise UsageError(what, where=model.card.name, fix=fix)
    chosen = [(name, resolve_intervention(name)) for name in interventions]
    model.generate([prompt], 1)
    bare = model.generate([prompt], max_new_tokens)[0]
    per_token = getattr(model, "cache_bytes_per_token", None)
    known = {} if per_token is None else {"cache_bytes": float(per_token * (bare.tokens.prompt + bare.steps))}
    found = [Asked("none", bare, known)]
    for name, intervention in chosen:
        with intervention.on(model) as report:
            reply = model.generate([prompt], max_new_tokens)[0]
            did = {} if report is None else report.drain()
        found.append(Asked(name, reply, did, tuple(getattr(report, "notes", ()))))
    return found
