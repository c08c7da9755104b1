"""NSynth (J. Engel et al., ICML 2017): ``nsynth-{train,valid,test}/examples.json`` and ``audio/NOTE.wav``.

The instrument is the family; the pitch is the MIDI note's name (60 is C4)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from otoscope.core.errors import InputError
from otoscope.training.uniwhisper.converters.found import Converter, Found, words

_NOTES = ("C", "C sharp", "D", "D sharp", "E", "F", "F sharp", "G", "G sharp", "A", "A sharp", "B")


def _read(root: Path) -> Iterator[Found]:
    parts = [(p, root / f"nsynth-{p}") for p in ("train", "valid", "test") if (root / f"nsynth-{p}").is_dir()]
    if not parts:
        raise InputError("holds none of nsynth-train, nsynth-valid, nsynth-test", where=str(root))
    for part, folder in parts:
        table = folder / "examples.json"
        try:
            notes = json.loads(table.read_text(encoding="utf-8"))
            facts = {n: (x["instrument_family_str"], int(x["pitch"]), x["instrument_str"]) for n, x in notes.items()}
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as e:
            raise InputError(f"is no table of notes: {type(e).__name__}: {e}", where=str(table)) from e
        for name, (family, pitch, instrument) in sorted(facts.items()):
            path = folder / "audio" / f"{name}.wav"
            more = {"domain": "music", "group": f"nsynth:{instrument}", "split": part, "license": "CC BY 4.0"}
            yield Found(path, name, "instrument", words(family), more)
            yield Found(path, name, "pitch", f"{_NOTES[pitch % 12]}{pitch // 12 - 1}", more)


CONVERTER = Converter("nsynth", "single notes: family of the instrument, and the note", ("instrument", "pitch"), _read)
