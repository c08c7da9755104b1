"""Vocabularies of captions: the words of a training set (ours, needs no file), or a tokenizer of ``transformers``."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from otoscope.core.errors import ModelError

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """``size`` tokens; ``ids(text)`` are those of a text, none of them padding."""

    size: int
    ids: Callable[[str], list[int]]

    @classmethod
    def of(cls, texts: Iterable[str], least: int = 1) -> Vocabulary:
        """Words in lower case that come ``least`` times or more; number 0 is every other word."""
        counts = Counter(w for t in texts for w in words(t))
        number = {w: i + 1 for i, w in enumerate(sorted(w for w, n in counts.items() if n >= least))}
        return cls(len(number) + 1, lambda text: [number.get(w, 0) for w in words(text)])

    @classmethod
    def pretrained(cls, source: str) -> Vocabulary:
        """A tokenizer by hub id (``@revision`` behind it) or folder, with the marks that it puts around a text; only
        its vocabulary is used. Raises :class:`ModelError` where it cannot be had."""
        from transformers import AutoTokenizer

        name, _, revision = source.partition("@")
        try:
            tokenizer = AutoTokenizer.from_pretrained(name, revision=revision or None)  # type: ignore[no-untyped-call]
        except (OSError, ValueError) as e:
            raise ModelError(
                f"is no tokenizer that can be had here: {str(e).splitlines()[0]}",
                where=source,
                fix="Fetch it, name a folder (tokenizer=DIR), or use the captions' own words: tokenizer=words.",
            ) from e
        return cls(int(tokenizer.vocab_size), lambda text: list(tokenizer(text).input_ids))


def words(text: str) -> list[str]:
    """Words in lower case, without marks."""
    return _WORD.findall(text.lower())
