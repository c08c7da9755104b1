"""Clips and their captions: recall at 1, the mean of both directions."""

from __future__ import annotations

from typing import Any

from otoscope.readouts.probe import Needs
from otoscope.readouts.retrieval import Retrieval
from otoscope.readouts.words import Vocabulary
from otoscope.tasks.probes.heads.data import Data, Head, Rows, Scored


class RetrievalHead:
    """X-ARES' retrieval model, which its tables list under MLP."""

    name = "xares-mlp"
    needs: Needs = "vectors"
    seeded, chooses = True, True

    def __init__(self, data: Data) -> None:
        self._data = data
        self._words = None if data.how.tokenizer == "words" else Vocabulary.pretrained(data.how.tokenizer)

    def read(self, x: Any, train: Rows, valid: Rows | None, test: Rows, seed: int) -> Scored:
        data = self._data
        head = Retrieval(data.recipe(), published=data.how.heads == "published", vocabulary=self._words)
        held = None if valid is None else (x[valid], data.truth(valid))
        fitted = head.fit(x[train], data.truth(train), held, seed, data.shards(train))
        return Scored(*fitted.recall_at_1(x[test], data.truth(test)))


def retrieval_heads(data: Data) -> list[Head]:
    """One, where the protocol asks for ``xares-mlp``."""
    return [RetrievalHead(data)] if "xares-mlp" in data.how.probe_names else []
