"""ESC-50 (K. J. Piczak, ACM Multimedia 2015), in the layout of :mod:`otoscope.audio.layouts.esc50`.

The data set has folds and no split: fold 5 is the test, fold 4 valid (ours)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from otoscope.audio.layouts.esc50 import is_esc50, read_esc50
from otoscope.core.errors import InputError
from otoscope.training.uniwhisper.converters.found import Converter, Found, words

_SPLITS = {"5": "test", "4": "valid"}


def _read(root: Path) -> Iterator[Found]:
    if not is_esc50(root):
        raise InputError("holds no meta/esc50.csv", where=str(root))
    for x in read_esc50(root):
        more = {
            "domain": "sound", "group": x.group, "split": _SPLITS.get(x.split, "train"), "license": "CC BY-NC 3.0",
        }  # fmt: skip
        yield Found(x.path, x.path.stem, "sound", words(x.labels[0]), more)


CONVERTER = Converter("esc50", "which of fifty sounds it is", ("sound",), _read)
