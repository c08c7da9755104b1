"""LibriSpeech (V. Panayotov et al., ICASSP 2015), in the layout of :mod:`otoscope.audio.layouts.librispeech`.

Transcripts are written in lower case. ``train-*`` is for training, ``dev-*`` valid, ``test-*`` test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from otoscope.audio.layouts.librispeech import read_librispeech
from otoscope.training.uniwhisper.converters.found import Converter, Found

_ANSWERS = {"female": "a woman", "male": "a man"}


def _read(root: Path) -> Iterator[Found]:
    for x in read_librispeech(root):
        split = {"dev": "valid"}.get(part := x.split.partition("-")[0], part)
        more = {"domain": "speech", "group": x.group, "split": split, "language": "en", "license": "CC BY 4.0"}
        yield Found(x.path, x.path.stem, "asr", str(x.more["transcript"]).lower(), more)
        if x.sex is not None:
            yield Found(x.path, x.path.stem, "speaker-sex", _ANSWERS[x.sex], more)


CONVERTER = Converter(
    "librispeech", "read English: what is said, and the sex of the voice", ("asr", "speaker-sex"), _read
)
