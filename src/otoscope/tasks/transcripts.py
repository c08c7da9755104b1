"""Word errors of a transcript. Counting is jiwer's; which words are compared is said here.

``sound``: lower case, everything but letters, digits and apostrophes separates words. ``official``: the published
AudioMarathon normalisation as its fact sheet describes it (section 1.6), which joins hyphenated words. Neither knows
that "9" is "nine".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Normalisation = Literal["sound", "official"]


@dataclass(frozen=True)
class WordErrors:
    """``errors`` (substitutions, deletions, insertions) against ``words`` of the truth; ``heard`` in the reply."""

    errors: int
    words: int
    heard: int


def word_errors(truth: str, reply: str, how: Normalisation = "sound") -> WordErrors:
    """Raises :class:`ValueError` where the truth has no words."""
    import jiwer

    reference, hypothesis = normalised(truth, how), normalised(reply, how)
    if not reference:
        raise ValueError("the transcript has no words")
    heard = len(hypothesis.split())
    if not hypothesis:
        return WordErrors(len(reference.split()), len(reference.split()), 0)
    found = jiwer.process_words(reference, hypothesis)
    errors = found.substitutions + found.deletions + found.insertions
    return WordErrors(errors, len(reference.split()), heard)


def normalised(text: str, how: Normalisation) -> str:
    """The words that are compared, with a space between."""
    low = text.casefold().replace("’", "'")
    if how == "official":
        low = re.sub(r"[-']", "", low)
        return " ".join(re.sub(r"[.,!?;:\"()\[\]{}]", " ", low).split())
    return " ".join(re.sub(r"[^\w']+|_", " ", low).split())
