"""What was said: an adapter to a frozen language model, scored by 1 - WER over all words of the part."""

from __future__ import annotations

from otoscope.readouts.asr import Asr
from otoscope.readouts.probe import Needs
from otoscope.readouts.ragged import Ragged
from otoscope.readouts.wer import wer_shares, word_errors
from otoscope.tasks.probes.heads.data import Data, Head, Rows, Scored


class SpeechHead:
    """X-ARES' ASR model, which its tables list under MLP."""

    name = "xares-mlp"
    needs: Needs = "frames"
    seeded, chooses = True, True

    def __init__(self, data: Data) -> None:
        self._data = data

    def read(self, x: Ragged, train: Rows, valid: Rows | None, test: Rows, seed: int) -> Scored:
        data = self._data
        published = data.how.heads == "published"
        head = Asr(data.how.lm, data.recipe(), published=published)
        held = None if valid is None else (x[valid], data.truth(valid))
        fitted = head.fit(x[train], data.truth(train), held, seed, data.shards(train))
        said = fitted.transcribe(x[test])
        errors, words = word_errors(said, data.truth(test), plain=not published)
        return Scored(wer_shares(errors, words), said)


def speech_heads(data: Data) -> list[Head]:
    """One, where the protocol asks for ``xares-mlp``."""
    return [SpeechHead(data)] if "xares-mlp" in data.how.probe_names else []
