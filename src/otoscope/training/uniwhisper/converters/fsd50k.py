"""FSD50K (E. Fonseca et al., arXiv 2010.00475), in the layout of :mod:`otoscope.audio.layouts.fsd50k`.

Licences are the clips' own, of ``FSD50K.metadata/{dev,eval}_clips_info_FSD50K.json``, where that folder is there."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from otoscope.audio.layouts.fsd50k import read_fsd50k
from otoscope.core.errors import InputError
from otoscope.training.uniwhisper.converters.found import Converter, Found, words

_SPLITS = {"val": "valid", "eval": "test"}


def _read(root: Path) -> Iterator[Found]:
    licences = _licences(root / "FSD50K.metadata")
    for x in read_fsd50k(root):
        more = {"domain": "sound", "group": x.group, "split": _SPLITS.get(x.split, x.split)}
        if x.path.stem in licences:
            more["license"] = licences[x.path.stem]
        yield Found(x.path, x.path.stem, "tags", tuple(words(label) for label in x.labels), more)


def _licences(folder: Path) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for path in sorted(folder.glob("*_clips_info_FSD50K.json")):
        try:
            found |= {name: str(facts["license"]) for name, facts in json.loads(path.read_text("utf-8")).items()}
        except (ValueError, TypeError, KeyError, AttributeError) as e:
            raise InputError(f"is no table of clips: {type(e).__name__}: {e}", where=str(path)) from e
    return found


CONVERTER = Converter("fsd50k", "which sounds there are, by AudioSet's names", ("tags",), _read)
