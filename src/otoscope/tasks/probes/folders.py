"""``probes/folder``: any folder of recordings as a probe task.

A folder with a ``manifest.jsonl`` (``label`` names the key of its labels that is the class, ``corpus`` keeps one of
its corpora, ``split`` names the key that holds the part), ESC-50 or FSD50K as published, or folders named by class.
Parts called train, valid (or val, dev) and test (or eval) are the splits; any others are folds; without parts the
groups are dealt to five folds, each group whole. Several labels to a clip make it a task of several classes at once.
Of a manifest ``kind`` says what the label is: classes (``clip``), a list of ``{"onset", "offset", "label"}`` in s
(``frame``), a list of captions (``contrastive``) or words (``asr``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from otoscope.audio.corpus import Clip, read_manifest
from otoscope.audio.layouts import Listed, read_layout
from otoscope.core.errors import InputError, UsageError
from otoscope.core.identity import digest
from otoscope.core.registry import suggestions
from otoscope.tasks.probes.catalog import DOMAINS
from otoscope.tasks.probes.entries import Collection, Entry
from otoscope.tasks.probes.sources import SoundFile
from otoscope.tasks.probes.task import ProbeTask

FOLDS = 5
#: How each kind is scored; of events in time the stretches are so long.
METRICS = {"clip": "accuracy", "frame": "segment-f1-macro", "contrastive": "r@1", "asr": "1-wer"}
SEGMENT_S = 1.0
_SPLITS = {"train": "train", "valid": "valid", "val": "valid", "dev": "valid", "test": "test", "eval": "test"}


@dataclass(frozen=True)
class FolderProbe(ProbeTask):
    """``data``: the folder or manifest. ``label``: which label of a manifest is the class. ``corpus``: one corpus of
    it. ``split``: which label is the part. ``domain``: speech, sound or music. ``title`` names the task in tables.
    ``kind``: what the label is."""

    data: str | None = None
    label: str = "sound"
    corpus: str | None = None
    split: str | None = None
    domain: str = "sound"
    title: str | None = None
    kind: str = "clip"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kind not in METRICS:
            raise UsageError(f"there is no kind {self.kind!r}", fix=f"Use {', '.join(METRICS)}.")
        if self.domain not in DOMAINS:
            raise UsageError(f"there is no domain {self.domain!r}", fix=f"Use {', '.join(DOMAINS)}.")

    @property
    def name(self) -> str:
        return "probes/folder"

    @property
    def head_kind(self) -> str:
        return self.kind

    def read(self) -> Collection:
        if self.data is None:
            raise UsageError("probes/folder reads a folder, and none is named", fix="Name it: --data DIR or data=DIR.")
        root = Path(self.data).expanduser()
        if root.suffix == ".jsonl" or (root / "manifest.jsonl").is_file():
            found = [_of_clip(c, self.label, self.split, self.kind) for c in self._clips(root)]
        elif self.kind != "clip":
            raise UsageError(f"kind={self.kind} needs a manifest.jsonl, and there is none", where=str(root))
        else:
            found = [_of_listed(x) for x in read_layout(root)]
        title = self.title or f"{self.corpus or root.name}: {self.label}"
        return collect(self.name, title, self.domain, found, where=str(root), kind=self.kind)

    def _clips(self, root: Path) -> list[Clip]:
        clips = list(read_manifest(root))
        if self.corpus is not None:
            known = sorted({c.corpus for c in clips})
            clips = [c for c in clips if c.corpus == self.corpus]
            if not clips:
                raise UsageError(
                    f"there is no corpus {self.corpus!r}", where=str(root), fix=f"There are: {', '.join(known)}."
                )
        used = [c for c in clips if self.label in c.labels]
        if not used:
            keys = sorted({k for c in clips for k in c.labels})
            near = suggestions(self.label, keys) or keys
            raise UsageError(
                f"no clip has a label {self.label!r}", where=str(root), fix=f"There are: {', '.join(near)}."
            )
        return used


@dataclass(frozen=True)
class Found:
    """A clip before it has a part: ``part`` "" where the data set has none."""

    path: Path
    name: str
    labels: tuple[str, ...]
    group: str
    part: str = ""
    target: Any = None


def _of_clip(clip: Clip, label: str, split: str | None, kind: str) -> Found:
    try:
        labels, target = _truth(clip.labels[label], kind)
    except (KeyError, TypeError, ValueError) as e:
        what = f"its label {label!r} is not what kind={kind} needs: {type(e).__name__}: {e}"
        raise InputError(what, where=clip.name) from e
    if split is not None and split not in clip.labels:
        raise InputError(f"has no label {split!r}, which should name its part", where=clip.name)
    part = "" if split is None else str(clip.labels[split])
    return Found(clip.path, clip.name, labels, clip.group or clip.name, part, target)


def _truth(value: Any, kind: str) -> tuple[tuple[str, ...], Any]:
    """Classes, and events, captions or words."""
    if kind == "asr":
        if not isinstance(value, str):
            raise TypeError(f"{value!r} is no text")
        return (), value
    if kind == "contrastive":
        captions = [value] if isinstance(value, str) else [str(c) for c in value]
        if not captions:
            raise ValueError("there is no caption")
        return (), captions
    if kind == "frame":
        events = [(float(e["onset"]), float(e["offset"]), str(e["label"])) for e in value]
        return tuple(dict.fromkeys(c for *_, c in events)), events
    return (tuple(map(str, value)) if isinstance(value, list) else (str(value),)), None


def _of_listed(x: Listed) -> Found:
    return Found(x.path, x.name, x.labels, x.group, x.split)


def collect(
    name: str, title: str, domain: str, found: Sequence[Found], *, where: str, kind: str = "clip"
) -> Collection:
    """Clips with or without parts as a collection. Raises :class:`InputError` where there are fewer than two classes
    (of events: none) or where some clips have a part and others none."""
    classes = tuple(sorted({c for f in found for c in f.labels}))
    least = {"clip": 2, "frame": 1}.get(kind, 0)
    if len(classes) < least:
        raise InputError(f"has {len(classes)} classes, and a probe of the kind {kind} needs {least}", where=where)
    if kind == "clip" and (empty := [f for f in found if not f.labels]):
        raise InputError("has no class", where=f"{where}, {empty[0].name}")
    parts = {f.part for f in found}
    if "" in parts and len(parts) > 1:
        raise InputError("some clips have a part and others have none", where=where)
    if parts == {""}:
        dealt = deal(found)
        entries = tuple(_entry(f, dealt[f.group]) for f in found)
        folds = True
    else:
        known = {p.casefold(): p for p in parts}
        folds = not set(known) <= set(_SPLITS)
        entries = tuple(_entry(f, f.part if folds else _SPLITS[f.part.casefold()]) for f in found)
    if folds and len({e.part for e in entries}) < 2:
        raise InputError("has one fold only, so nothing can be held out", where=where)
    several = kind == "clip" and any(len(f.labels) > 1 for f in found)
    more = {"segment_s": SEGMENT_S} if kind == "frame" else {}
    metric = "map" if several else METRICS[kind]
    return Collection(name, title, domain, classes, entries, folds, metric=metric, kind=kind, more=more)


def _entry(f: Found, part: str) -> Entry:
    return Entry(f"{part}/{f.name}", part, f.labels, f.group, SoundFile(f.path, f.name), target=f.target)


def deal(found: Sequence[Found]) -> Mapping[str, str]:
    """Group -> fold. Groups go, the largest first, to the fold that has least of what they hold: classes stay spread,
    and equal input gives equal folds."""
    held: dict[str, list[Found]] = {}
    for f in found:
        held.setdefault(f.group, []).append(f)
    n = min(FOLDS, len(held))
    load = [Counter[Any]() for _ in range(n)]
    where: dict[str, str] = {}
    for group in sorted(held, key=lambda g: (-len(held[g]), digest(g))):
        own = Counter[Any](c for f in held[group] for c in f.labels) or Counter({None: len(held[group])})
        cost = [(sum(load[k][c] * v for c, v in own.items()), sum(load[k].values())) for k in range(n)]
        best = int(min(range(n), key=lambda k: (*cost[k], k)))
        load[best].update(own)
        where[group] = str(best)
    return where
