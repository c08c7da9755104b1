"""What long items are made of: sources by what they can be asked about, each in one split only. Ours.

A source is a clip of the user's or a sound of the package's, mono at :data:`RATE`, trimmed, at one level, loaded when
it is needed. What a manifest's labels make of a clip: ``digit`` and ``speaker`` a spoken digit; ``transcript`` and
``speaker`` a sentence (with ``answer``, an entity that is named in it); ``sound`` or ``event`` an event; ``instrument``
a phrase, with ``midi`` a note; ``scene``, ``genre``. A folder of folders gives events by the folder's name, a folder of
bare recordings a haystack: sound between the events that is asked nothing about.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from otoscope.audio import io
from otoscope.audio.corpus import Clip, read_manifest, scan_folder
from otoscope.audio.layouts import opened, read_layout
from otoscope.audio.mixing import trim
from otoscope.core.errors import InputError, UsageError
from otoscope.core.identity import digest
from otoscope.tasks.audiomarathon.miniature.pool import RATE, Float, levelled

#: What a source can be; a phrase and a note are of an instrument.
KINDS = ("digit", "sentence", "event", "phrase", "note", "scene", "genre", "haystack")


@dataclass(frozen=True, eq=False)
class Source:
    """``label`` is the digit, the event, the instrument, the scene or the genre; ``about`` holds what else is known
    (``speaker``, ``transcript``, ``answer``, ``midi``). ``group`` (speaker, recording) is what a split keeps whole."""

    id: str
    kind: str
    label: str
    group: str
    load: Callable[[], Float]
    about: Mapping[str, Any] = field(default_factory=dict)
    sha256: str = ""

    @property
    def speaker(self) -> str:
        return str(self.about.get("speaker", ""))


@dataclass(frozen=True, eq=False)
class Material:
    """The sources of one split."""

    sources: Sequence[Source]

    def __post_init__(self) -> None:
        found: dict[str, dict[str, list[Source]]] = {kind: {} for kind in KINDS}
        for s in self.sources:
            found[s.kind].setdefault(s.label, []).append(s)
        object.__setattr__(self, "_by", found)

    def of(self, kind: str) -> Mapping[str, Sequence[Source]]:
        """Sources of a kind by label, in the order in which they were given."""
        by: Mapping[str, Mapping[str, Sequence[Source]]] = self._by  # type: ignore[attr-defined]
        return by[kind]

    def speakers(self, kind: str) -> dict[str, list[Source]]:
        """Sources of a kind of speech by speaker."""
        found: dict[str, list[Source]] = {}
        for same in self.of(kind).values():
            for s in same:
                found.setdefault(s.speaker, []).append(s)
        return found

    def voices(self) -> dict[str, dict[str, list[Source]]]:
        """Speakers who say all ten digits: speaker -> digit -> renditions."""
        found: dict[str, dict[str, list[Source]]] = {}
        for speaker, said in self.speakers("digit").items():
            by: dict[str, list[Source]] = {}
            for s in said:
                by.setdefault(s.label, []).append(s)
            if len(by) == 10:
                found[speaker] = by
        return found


def read_material(places: Sequence[str]) -> list[Source]:
    """The sources of ``places``, each ``package`` (the package's own sounds), a ``manifest.jsonl`` or a folder that
    holds one, a data set in a known layout, a folder of folders by class, or a folder of recordings. Raises
    :class:`InputError` on what cannot be read and on an id that two places share."""
    from otoscope.tasks.longaudio.own import own_sources

    found: list[Source] = []
    for place in places:
        found += own_sources() if place == "package" else _of_place(Path(place).expanduser())
    ids = [s.id for s in found]
    if len(set(ids)) < len(ids):
        twice = next(i for i in ids if ids.count(i) > 1)
        raise InputError(f"the source {twice!r} is there twice", fix="Name every place once.")
    if not found:
        raise InputError("there is no clip that anything could be asked about", where=", ".join(places))
    return found


def _of_place(root: Path) -> list[Source]:
    if root.is_file() or (root / "manifest.jsonl").is_file():
        return _sources(read_manifest(root))
    if root.is_dir() and not any(p.is_dir() and not p.name.startswith(".") for p in root.iterdir()):
        return [_clip(c, "haystack", "", {}) for c in scan_folder(root).clips]
    found: list[Source] = []
    for listed in read_layout(root):
        clip = opened(listed)
        if listed.kind == "sound" and listed.labels:
            found.append(_clip(clip, "event", listed.labels[0], {}))
        elif "transcript" in listed.more:
            found += _speech(clip, dict(listed.more))
    return found


def _sources(clips: Iterable[Clip]) -> list[Source]:
    found: list[Source] = []
    for clip in clips:
        labels = clip.labels
        event = labels.get("sound", labels.get("event"))
        if "digit" in labels or "transcript" in labels:
            found += _speech(clip, labels)
        elif isinstance(event, str):
            found.append(_clip(clip, "event", event, {}))
        elif isinstance(labels.get("instrument"), str):
            note = isinstance(labels.get("midi"), int)
            found.append(_clip(clip, "note" if note else "phrase", labels["instrument"], labels))
        else:
            found += [_clip(clip, k, labels[k], labels) for k in ("scene", "genre") if isinstance(labels.get(k), str)]
    return found


def _speech(clip: Clip, labels: Mapping[str, Any]) -> list[Source]:
    about = {"speaker": str(labels.get("speaker", clip.group or clip.name)), "sex": labels.get("sex")}
    if isinstance(labels.get("digit"), int) and 0 <= labels["digit"] <= 9:
        return [_clip(clip, "digit", str(labels["digit"]), about)]
    if not isinstance(labels.get("transcript"), str) or not labels["transcript"].strip():
        return []
    about |= {"transcript": labels["transcript"].strip(), "answer": labels.get("answer")}
    return [_clip(clip, "sentence", "", about)]


def _clip(clip: Clip, kind: str, label: str, about: Mapping[str, Any]) -> Source:
    keep = {k: about[k] for k in ("speaker", "sex", "transcript", "answer", "midi") if about.get(k) is not None}
    where = f"{clip.corpus}/{clip.name}" if clip.corpus else clip.name
    return Source(
        f"{kind}:{where}", kind, label, clip.group or clip.name, lambda: _read(str(clip.path)), keep, clip.sha256
    )


@lru_cache(maxsize=256)
def _read(path: str) -> Float:
    """A clip, mono, trimmed, at one level; read-only. Raises :class:`InputError`, naming it."""
    try:
        x = levelled(trim(io.read(path, rate=RATE).mono().samples[0].astype(np.float64)))
    except InputError as e:
        raise InputError(e.what, where=e.where or path, fix=e.fix) from e
    x.flags.writeable = False
    return x


# --- splits -----------------------------------------------------------------------------------------------------


def divide(sources: Sequence[Source], share: float, seed: int) -> tuple[Material, Material]:
    """Sources of ``train`` (about ``share`` of the groups of every label) and of ``test``. A group is wholly in one.

    Raises :class:`UsageError` on a share outside 0 to 1."""
    if not 0 <= share < 1:
        raise UsageError(f"{share} is no share of the sources that leaves some to test on")
    side: dict[str, bool] = {}
    by: dict[tuple[str, str], list[str]] = {}
    for s in sources:
        groups = by.setdefault((s.kind, s.label), [])
        if s.group not in groups:
            groups.append(s.group)
    for key in sorted(by):
        groups = sorted(by[key], key=lambda g: digest([seed, g]))
        wanted = math.floor(share * len(groups) + 1e-9)
        for group in groups:
            if group not in side:
                side[group] = sum(side.get(g, False) for g in groups) < wanted
    chosen = lambda train: [s for s in sources if side[s.group] == train]  # noqa: E731
    return Material(chosen(True)), Material(chosen(False))
