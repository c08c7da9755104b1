"""What of the probe sets a training manifest holds: by source, by name, and by content. Ours.

*Source*: the recording or speaker that both come from, as data sets name it (``freesound:100032``,
``librispeech:1034``, ``made:event:siren:7``); a data set of Freesound origin meets another one here. *Name*: the file's
name without folder and suffix, which may be a coincidence where names are numbers. *Content*: equal bytes, looked at
only where asked for. A probe set whose sources are not known cannot be said to be clean by source; how many are known
is told beside each count.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from otoscope.audio.corpus import read_manifest
from otoscope.core.errors import InputError
from otoscope.core.identity import file_digest
from otoscope.tasks.probes.entries import Entry
from otoscope.tasks.probes.own import Both
from otoscope.tasks.probes.sources import Made
from otoscope.tasks.probes.task import ProbeTask
from otoscope.tasks.probes.xares import XaresProbe
from otoscope.training.uniwhisper.records import Record, Sound, member_of, read_records

_LINKS = (
    (re.compile(r"freesound\.org/(?:people/[^/]+/)?s(?:ounds)?/(\d+)"), "freesound"),
    (re.compile(r"youtu(?:\.be/|be\.com/watch\?v=)([\w-]{11})"), "youtube"),
)
#: Entries that are named as examples of each part.
EXAMPLES = 3


@dataclass(frozen=True)
class Part:
    """One part of a probe set. ``source``, ``name`` and ``content`` count its clips that the manifest holds by that
    mark (``content`` None: not looked at), ``any`` those by any; ``known`` have a source that could be compared.
    ``examples``: clip, mark, and the record that it met."""

    task: str
    part: str
    n: int
    known: int
    source: int
    name: int
    content: int | None
    any: int
    examples: tuple[tuple[str, str, str], ...]


@dataclass
class Marks:
    """What a manifest holds: mark -> key of the first record that has it."""

    source: dict[str, str] = field(default_factory=dict)
    name: dict[str, str] = field(default_factory=dict)
    content: dict[str, str] = field(default_factory=dict)
    n: int = 0


def marks_of(manifests: Sequence[Path], *, content: bool = False) -> Marks:
    """Marks of the records (or of the clips of a corpus) in ``manifests``. ``content`` reads sounds whose sha256 is not
    told. Raises :class:`InputError` on a manifest or a sound that can't be read."""
    found = Marks()
    for manifest in manifests:
        records = list(read_records(manifest)) if _is_records(manifest) else list(_clips(manifest))
        found.n += len(records)
        for r in records:
            for s in [normal(r.group), *_linked(r.source), *_made(r.sound)]:
                found.source.setdefault(s, r.key)
            for n in _names(r.sound):
                found.name.setdefault(n, r.key)
            if content:
                for c in [r.sha256] if r.sha256 else _bytes(r.sound):
                    found.content.setdefault(c, r.key)
    found.source.pop("", None)
    return found


def overlap(marks: Marks, tasks: Iterable[ProbeTask], *, content: bool = False) -> Iterator[Part]:
    """Each part of each task against ``marks``."""
    for task in tasks:
        c = task.collection
        for part in c.parts:
            yield _part(marks, task, part, [e for e in c.entries if e.part == part], content)


def sources_of(task: ProbeTask, entry: Entry) -> tuple[str, ...]:
    """Sources of a clip of a probe set; empty where they are not known."""
    if isinstance(entry.source, Made | Both):
        made = [entry.source] if isinstance(entry.source, Made) else [entry.source.first, entry.source.second]
        return tuple(_made_id(m.kind, m.label, m.seed) for m in made)
    if isinstance(task, XaresProbe):
        t = task.task
        if t.origin is None:
            return ()
        if t.origin_of == "label":
            return tuple(normal(f"{t.origin}:{x}") for x in entry.labels)
        found = re.search(t.origin_id or t.group or "$^", _base(entry.id))
        return (normal(f"{t.origin}:{found.group(1)}"),) if found else ()
    return (normal(entry.group),) if ":" in entry.group else ()


def normal(source: str) -> str:
    """Dots of a name become underscores in archives, and case is not kept everywhere."""
    return source.strip().lower().replace(".", "_")


def _part(marks: Marks, task: ProbeTask, part: str, entries: Sequence[Entry], content: bool) -> Part:
    counts = {"source": 0, "name": 0, "content": 0}
    known = met = 0
    examples: list[tuple[str, str, str]] = []
    for e in entries:
        sources = sources_of(task, e)
        known += bool(sources)
        sha = getattr(e.source, "sha256", None) if content else None
        ways = {
            "source": next((marks.source[s] for s in sources if s in marks.source), None),
            "name": marks.name.get(normal(_base(e.id))),
            "content": None if sha is None else marks.content.get(sha()),
        }
        hits = [(way, key) for way, key in ways.items() if key is not None]
        for way, _ in hits:
            counts[way] += 1
        met += bool(hits)
        if hits and len(examples) < EXAMPLES:
            examples.append((e.id, *hits[0]))
    looked = counts["content"] if content else None
    return Part(task.name, part, len(entries), known, counts["source"], counts["name"], looked, met, tuple(examples))


def _base(entry_id: str) -> str:
    base = PurePosixPath(entry_id).name
    return base.rsplit(".", 1)[0] if re.search(r"\.(wav|flac|ogg|mp3)$", base, re.IGNORECASE) else base


def _is_records(manifest: Path) -> bool:
    if manifest.is_dir() or not manifest.is_file():
        return False  # said by who reads it
    with manifest.open(encoding="utf-8") as lines:
        first = next((x for x in lines if x.strip()), "{}")
    try:
        return "key" in json.loads(first)
    except (ValueError, TypeError):
        return True  # said by who reads it, with the line


def _clips(manifest: Path) -> Iterator[Record]:
    for c in read_manifest(manifest):
        yield Record(c.name, "", "", Sound(c.path), c.duration_s, group=c.group, source=c.source, sha256=c.sha256)


def _linked(source: str) -> list[str]:
    return [f"{space}:{normal(m.group(1))}" for link, space in _LINKS for m in [link.search(source)] if m]


def _made(sound: Sound) -> list[str]:
    own = [] if sound.made is None else [_made_id(*sound.made)]
    return own + [x for part in sound.parts for x in _made(part)]


def _made_id(kind: str, label: str, seed: int) -> str:
    return f"made:{kind}:{label}:{seed}"


def _names(sound: Sound) -> list[str]:
    own = [str(sound.path)] if sound.path is not None else [str(sound.member)] if sound.member else []
    return [normal(_base(Path(x).name)) for x in own] + [n for part in sound.parts for n in _names(part)]


def _bytes(sound: Sound) -> list[str]:
    if sound.parts:
        return [x for part in sound.parts for x in _bytes(part)]
    if sound.tar is not None:
        return [member_of(sound.tar, str(sound.member)).sha256()]
    if sound.path is None or sound.start_s is not None:
        return []  # made, or a part of a file: no bytes of its own
    if not sound.path.is_file():
        raise InputError("no such sound, and its content was asked for", where=str(sound.path))
    return [file_digest(sound.path)]
