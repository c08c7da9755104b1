"""Held-out figures of the tiny audio language model: plain questions answered in words, the ten tasks by letter, and
the families of the long-audio builder in recordings of half a minute.

Everything goes through the loaded checkpoint's own ``generate``, as a user's question would.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.stats import binomtest

from otoscope.audio.binaural import child
from otoscope.core.audio import Audio
from otoscope.core.nouns import Prompt
from otoscope.tasks.audiomarathon.kinds import KINDS
from otoscope.tasks.audiomarathon.layout import Entry
from otoscope.tasks.audiomarathon.miniature.made import Made
from otoscope.tasks.audiomarathon.miniature.pool import RATE, Pool
from otoscope.tasks.audiomarathon.miniature.writer import MAKERS, SECONDS, SHORTEST
from otoscope.tasks.audiomarathon.parsers import lenient
from otoscope.tasks.audiomarathon.prompts import text_of, turned, wordings
from otoscope.tasks.longaudio.families import FAMILIES
from otoscope.tasks.transcripts import word_errors
from otoscope.training.audiolm import longaudio
from otoscope.training.audiolm.data import _NOWHERE, PLAIN, free

#: Length of the miniature's items against the published ones.
SCALE = 0.06
#: Seconds of the builder's items and of their cores.
LONG_S, CORE_S = 30.0, 12.0
#: Figures of the builder's chains, and the questions that each is of.
CHAINS = {
    "hops_1": ("count", "number-after", "sound-after"),
    "hops_2": ("two",),
    "hops_3": ("three",),
}


def figures(model: Any, test: Pool, takes: Pool | None, n: int, seed: int = 77, at_once: int = 16) -> dict[str, Any]:
    """By name: share of right answers with a 95 % interval, its chance, or a word error rate. ``test`` holds what was
    left out, ``takes`` left-out takes of known voices."""
    ask = _Asking(model, n, seed, at_once)
    found: dict[str, Any] = {
        "digit": ask.plain("digit", test, 2.0, 10),
        "digit_without_noise": ask.plain("digit", replace(test, noise_dbfs=float("-inf")), 2.0, 10),
        "sound": ask.plain("sound", test, 5.0, len(test.events)),
        "sound_in_60_s": ask.plain("occurs", test, 60.0, len(test.events), max(8, n // 2)),
        "transcript": ask.transcripts(test, (2.0, 5.0)),
        "transcript_15_s": ask.transcripts(test, (14.0, 16.0)),
    }
    if takes is not None and takes.voices:
        found["speaker_known_takes"] = ask.plain("who", takes, 4.0, len(takes.voices))
        found["digit_known_takes"] = ask.plain("digit", takes, 2.0, 10)
        found["transcript_known_takes"] = ask.transcripts(takes, (2.0, 5.0))
    for task in MAKERS:
        found[f"audiomarathon/{task}"] = ask.task(task, test)
    return found


def long_figures(
    model: Any, test: Pool, n: int, families: Sequence[str] = tuple(FAMILIES), seed: int = 77, at_once: int = 16
) -> dict[str, Any]:
    """The same for families of the long-audio builder: ``n`` items of :data:`LONG_S`, the core, of :data:`CORE_S`,
    anywhere in them; of chains by how many hops a question takes."""
    ask = _Asking(model, n, seed, at_once)
    found: dict[str, Any] = {}
    for key in families:
        for name, which in CHAINS.items() if key == "hops" else ((key, ()),):
            found[f"longaudio/{name}"] = ask.family(key, which, test)
    return found


class _Asking:
    def __init__(self, model: Any, n: int, seed: int, at_once: int) -> None:
        self.model, self.n, self.seed, self.at_once = model, n, seed, at_once

    def plain(self, name: str, pool: Pool, seconds: float, classes: int, n: int | None = None) -> dict[str, Any]:
        made = [PLAIN[name](self._rng(name, k), pool, seconds) for k in range(n or self.n)]
        replies = self._replies([(m, free(m)) for m in made], 12)
        right = [r.strip().casefold() == m.options[m.gold].casefold() for r, m in zip(replies, made, strict=True)]
        return _share(right, 1 / classes)

    def transcripts(self, pool: Pool, seconds: tuple[float, float]) -> dict[str, Any]:
        made = [MAKERS["asr"](self._rng("asr", k), pool, self._between(k, seconds)) for k in range(self.n)]
        made = [m for m in made if m.transcript]
        text = wordings("sound")["asr"].text
        return _word_rate(made, self._replies([(m, text) for m in made], 96))

    def task(self, task: str, pool: Pool) -> dict[str, Any]:
        low, high = (max(SHORTEST, SCALE * s) for s in SECONDS[task])
        made = [MAKERS[task](self._rng(task, k), pool, self._between(k, (low, high))) for k in range(self.n)]
        if KINDS[task].free:
            return _word_rate(made, self._replies([(m, wordings("sound")[task].text) for m in made], 96))
        entries = [
            turned(Entry(task, str(k), "", _NOWHERE, m.question, m.options, m.gold), k) for k, m in enumerate(made)
        ]
        texts = [text_of(e, wordings("sound")[task]) for e in entries]
        replies = self._replies(list(zip(made, texts, strict=True)), wordings("sound")[task].max_new_tokens)
        right = [lenient(task, r, e.options) == e.gold for r, e in zip(replies, entries, strict=True)]
        return _share(right, 1 / KINDS[task].options)

    def family(self, key: str, which: Sequence[str], pool: Pool) -> dict[str, Any]:
        items, entries = [], []
        for k in range(self.n):
            made = longaudio.long_item(self._rng(key, k), pool, key, k, CORE_S, LONG_S, pool.noise_dbfs, apart=False)
            name = which[k % len(which)] if which else ""
            entries.append(next(e for e in made.entries if e.id == name))
            items.append(Made(made.sound, transcript=entries[-1].transcript or ""))
        asked = [(m, longaudio.as_turn(e)[0]) for m, e in zip(items, entries, strict=True)]
        if not FAMILIES[key].options:
            return _word_rate(items, self._replies(asked, 96))
        replies = self._replies(asked, wordings("sound")["scr"].max_new_tokens)
        right = [lenient(key, r, e.options) == e.gold for r, e in zip(replies, entries, strict=True)]
        return _share(right, 1 / FAMILIES[key].options)

    def _replies(self, asked: Sequence[tuple[Made, str]], tokens: int) -> list[str]:
        found: list[str] = []
        for start in range(0, len(asked), self.at_once):
            part = asked[start : start + self.at_once]
            prompts = [Prompt(text, (Audio(made.sound[None], RATE),)) for made, text in part]
            found += [reply.text for reply in self.model.generate(prompts, tokens)]
        return found

    def _rng(self, name: str, k: int) -> np.random.Generator:
        return child(self.seed, "tiny-audiolm-test", name, k)

    def _between(self, k: int, seconds: tuple[float, float]) -> float:
        return float(self._rng("seconds", k).uniform(*seconds))


def _share(right: Sequence[bool], chance: float) -> dict[str, Any]:
    hits = sum(right)
    found = binomtest(hits, len(right)).proportion_ci(method="wilson")
    return {
        "accuracy": hits / len(right),
        "interval": [float(found.low), float(found.high)],
        "chance": chance,
        "n": len(right),
    }


def _word_rate(made: Sequence[Made], replies: Sequence[str]) -> dict[str, Any]:
    counted = [word_errors(m.transcript, r) for m, r in zip(made, replies, strict=True)]
    errors, words = sum(c.errors for c in counted), sum(c.words for c in counted)
    exact = sum(c.errors == 0 for c in counted) / len(counted)
    return {"wer": errors / words, "exact": exact, "words": words, "n": len(counted)}
