"""An audio language model without a network: its answer is a pure function of what it hears and is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from otoscope.core.identity import digest
from otoscope.core.nouns import Card, Prompt, Reply, TokenCounts


class Toy:
    """Says a letter (or a few numbers) that depends on sound and words. 25 tokens a second. ``fails_beyond_s``: longer
    prompts raise."""

    def __init__(self, fails_beyond_s: float = 1e9) -> None:
        self.fails_beyond_s = fails_beyond_s
        self.calls = 0

    @property
    def card(self) -> Card:
        return Card("toy", "audiolm", "no network", rate=16_000, channels=1, layers=())

    def identity(self) -> Mapping[str, Any]:
        return {"kind": "toy", "fails_beyond_s": self.fails_beyond_s}

    def load(self) -> None:
        return None

    def generate(self, prompts: Sequence[Prompt], max_new_tokens: int = 256) -> list[Reply]:
        return [self._one(p) for p in prompts]

    def _one(self, prompt: Prompt) -> Reply:
        self.calls += 1
        seconds = sum(a.duration_s for a in prompt.audio)
        if seconds > self.fails_beyond_s:
            raise ValueError(f"{seconds:.1f} s are too long")
        at = int(digest([[a.digest() for a in prompt.audio], prompt.text])[:6], 16)
        letters = [x for x in "ABCDE" if f"{x}. " in prompt.text]
        text = letters[at % len(letters)] if letters else "one two three"
        counts = TokenCounts(round(25 * seconds), len(prompt.text.split()), 1)
        return Reply(text, (at % 7,), counts, seconds={"encoder": 1e-3 * seconds, "prefill": 2e-3, "decode": 1e-4},
                     steps=1)  # fmt: skip
