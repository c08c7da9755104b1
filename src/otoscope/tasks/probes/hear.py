"""``probes/hear``: a task folder of HEAR (J. Turian et al., arXiv 2203.03022) as it is unpacked.

::

    task_metadata.json     embedding_type (scene, event), prediction_type (multiclass, multilabel), splits
    labelvocabulary.csv    idx, label
    train.json ...         scene: {file: [label, ...]}; event: {file: [{"start", "end", "label"}, ...]} in ms
    48000/train/file.wav   the sounds of every split, at each rate that was unpacked

``splits`` are train, valid and test, or folds. An encoder hears the files of its own rate where they are there, else
those of the next higher rate (or the highest), resampled. Scores are those of our probes: accuracy of one class of
many, macro average precision of several, segment-based F1 of events; HEAR's own onset scores are not computed.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from otoscope.audio import io
from otoscope.core.audio import Audio
from otoscope.core.errors import InputError, UsageError
from otoscope.core.unpack import safe_name
from otoscope.tasks.probes.catalog import DOMAINS
from otoscope.tasks.probes.entries import Collection, Entry
from otoscope.tasks.probes.folders import SEGMENT_S
from otoscope.tasks.probes.sources import file_digest_of
from otoscope.tasks.probes.task import ProbeTask

METADATA, VOCABULARY = "task_metadata.json", "labelvocabulary.csv"
_KINDS = {
    ("scene", "multiclass"): ("clip", "accuracy"),
    ("scene", "multilabel"): ("clip", "map"),
    ("event", "multilabel"): ("frame", "segment-f1-macro"),
    ("event", "multiclass"): ("frame", "segment-f1-macro"),
}


@dataclass(frozen=True)
class RatedFile:
    """One sound at several rates: ``paths`` (Hz, file), by rate; ``name`` is its path inside the task folder."""

    paths: tuple[tuple[int, Path], ...]
    name: str

    def at(self, rate: int) -> RatedFile:
        """The file that an encoder of ``rate`` should hear: its own, else the next higher, else the highest."""
        best = next((p for p in self.paths if p[0] >= rate), self.paths[-1])
        return RatedFile((best,), self.name)

    def load(self) -> Audio:
        rate, path = self.paths[-1]
        found = io.read(path)
        if found.rate != rate:
            raise InputError(f"is at {found.rate} Hz, in the folder of {rate} Hz", where=str(path))
        return found

    def length(self) -> tuple[int, int]:
        found = io.info(self.paths[-1][1])
        return found.frames, found.rate

    def describe(self) -> Any:
        return {"file": self.name, "sha256": {str(r): file_digest_of(p) for r, p in self.paths}}


@dataclass(frozen=True)
class HearProbe(ProbeTask):
    """``data``: the task folder. ``domain``: speech, sound or music, which HEAR does not say. ``title`` names the task
    in tables (default: its own name)."""

    data: str | None = None
    domain: str = "sound"
    title: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.domain not in DOMAINS:
            raise UsageError(f"there is no domain {self.domain!r}", fix=f"Use {', '.join(DOMAINS)}.")

    @property
    def name(self) -> str:
        return "probes/hear"

    @property
    def head_kind(self) -> str:
        return self._kind[0]

    @property
    def _kind(self) -> tuple[str, str]:
        about = read_metadata(self._folder)
        key = (str(about.get("embedding_type")), str(about.get("prediction_type")))
        if key not in _KINDS:
            raise InputError(
                f"is of the kind {' '.join(key)}, which no probe reads", where=str(self._folder / METADATA)
            )
        return _KINDS[key]

    @property
    def _folder(self) -> Path:
        if self.data is None:
            raise UsageError("probes/hear reads a task folder, and none is named", fix="Name it: data=DIR.")
        return Path(self.data).expanduser()

    def read(self) -> Collection:
        folder, (kind, metric) = self._folder, self._kind
        about = read_metadata(folder)
        classes = read_vocabulary(folder)
        splits = [str(s) for s in about.get("splits", [])] or ["train", "valid", "test"]
        folds = about.get("split_mode") != "trainvaltest"
        if not folds and not {"train", "test"} <= set(splits):
            what = f"its splits are {', '.join(splits)}, and training and test are needed"
            raise InputError(what, where=str(folder / METADATA))
        entries = tuple(e for split in splits for e in _entries(folder, split, kind, classes))
        more = {"segment_s": SEGMENT_S} if kind == "frame" else {}
        title = self.title or f"HEAR {about.get('task_name', folder.name)}"
        return Collection(self.name, title, self.domain, classes, entries, folds, metric=metric, kind=kind, more=more)


def read_metadata(folder: Path) -> Mapping[str, Any]:
    """``task_metadata.json``. Raises :class:`InputError` where it is missing or damaged."""
    found = _json(folder / METADATA)
    if not isinstance(found, dict):
        raise InputError("is no JSON object", where=str(folder / METADATA))
    return found


def read_vocabulary(folder: Path) -> tuple[str, ...]:
    """Classes in the order of their numbers. Raises :class:`InputError` unless these run from 0."""
    path = folder / VOCABULARY
    try:
        with path.open(encoding="utf-8", newline="") as f:
            rows = {int(row["idx"]): row["label"] for row in csv.DictReader(f)}
    except (OSError, KeyError, TypeError, ValueError, UnicodeDecodeError) as e:
        raise InputError(f"is no table of idx and label: {type(e).__name__}: {e}", where=str(path)) from e
    if not rows or sorted(rows) != list(range(len(rows))):
        raise InputError("its numbers don't run from 0", where=str(path))
    return tuple(rows[i] for i in range(len(rows)))


def _entries(folder: Path, split: str, kind: str, classes: tuple[str, ...]) -> Iterator[Entry]:
    path = folder / f"{split}.json"
    told = _json(path)
    if not isinstance(told, dict) or not told:
        raise InputError("names no sounds", where=str(path))
    rates = sorted(int(p.parent.name) for p in folder.glob(f"*/{split}") if p.parent.name.isdecimal() and p.is_dir())
    if not rates:
        fix = "Unpack the archive of one rate at least into the task folder."
        raise InputError(f"holds no folder RATE/{split} with sounds", where=str(folder), fix=fix)
    known = set(classes)
    for name, value in told.items():
        safe_name(name, str(path))
        where = [(r, folder / str(r) / split / name) for r in rates]
        files = tuple((r, p) for r, p in where if p.is_file())
        problem: str | None = None
        labels: tuple[str, ...] = ()
        target = None
        try:
            labels, target = _truth(value, kind)
        except (KeyError, TypeError, ValueError) as e:
            problem = f"its labels cannot be read: {type(e).__name__}: {e}"
        if strange := [x for x in labels if x not in known]:
            problem = f"its label {strange[0]!r} is not in {VOCABULARY}"
        if not files:
            problem = f"it is in none of {', '.join(f'{r}/{split}' for r in rates)}"
        shown = f"{split}/{name}"
        source = RatedFile(files, shown) if files else None
        told_problem = None if problem is None else f"{shown}: {problem}"
        yield Entry(shown, split, labels, shown, source, target=target, problem=told_problem)


def _truth(value: Any, kind: str) -> tuple[tuple[str, ...], Any]:
    if kind == "frame":
        events = [(float(e["start"]) / 1000, float(e["end"]) / 1000, str(e["label"])) for e in value]
        return tuple(dict.fromkeys(c for *_, c in events)), events
    return tuple(str(c) for c in (value if isinstance(value, list) else [value])), None


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as e:
        fix = "data= names one task's folder, which holds task_metadata.json."
        raise InputError(f"cannot be read: {e.strerror}", where=str(path), fix=fix) from e
    except ValueError as e:
        raise InputError(f"is not JSON: {e}", where=str(path)) from e
