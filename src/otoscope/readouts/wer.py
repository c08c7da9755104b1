"""Word errors of a set of transcripts, and the score that X-ARES makes of them: max(0, 1 - WER)."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_MARKS = re.compile(r"[^\w\s']")


def word_errors(said: Sequence[str], truth: Sequence[str], plain: bool = False) -> tuple[Floats, Floats]:
    """Errors (substitutions, deletions, insertions) and words of each text ``[N]``, in lower case; ``plain`` takes
    marks other than the apostrophe off first (ours)."""
    import jiwer

    errors, words = np.zeros(len(truth)), np.zeros(len(truth))
    for i, (a, b) in enumerate(zip(said, truth, strict=True)):
        guess, right = (" ".join((_MARKS.sub(" ", x) if plain else x).lower().split()) for x in (a, b))
        words[i] = len(right.split())
        if not right:  # every word said is one too many
            errors[i] = len(guess.split())
            continue
        found = jiwer.process_words(right, guess)
        errors[i] = found.substitutions + found.deletions + found.insertions
    return errors, words


def wer_shares(errors: Floats, words: Floats) -> Floats:
    """``[N]`` whose mean is max(0, 1 - errors / words); nothing but 0 where there are more errors than words."""
    total = max(float(words.sum()), 1.0)
    if errors.sum() >= total:
        return np.zeros(len(errors))
    return 1.0 - errors * (len(errors) / total)
