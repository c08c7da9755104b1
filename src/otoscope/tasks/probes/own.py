"""Probe tasks on the package's own sounds, so that ``otoscope run encoders`` needs no download. Ours.

They are small and made, not recorded: they tell encoders apart that differ much, and no more. Speech: which digit, and
which sex, of the package's synthetic voices (14 speakers, folds by speaker). Sound: which event, and which two events
at once (several classes hold). Music: which instrument plays a note, and a phrase. Generated sounds have seeds from
``FIRST_SEED`` on, which the package's own models are not trained on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from otoscope.audio import generator
from otoscope.audio.speech import bundled_speech
from otoscope.core.audio import Audio
from otoscope.tasks.probes.entries import Collection, Entry
from otoscope.tasks.probes.sources import Made, SoundFile
from otoscope.tasks.probes.task import ProbeTask

#: The package's models may be trained on seeds below.
FIRST_SEED = 1000
FOLDS = 5


@dataclass(frozen=True)
class Both:
    """Two sounds at once."""

    first: Made
    second: Made

    def load(self) -> Audio:
        a, b = self.first.load(), self.second.load()
        return Audio((a.samples + b.samples) * np.float32(0.5), a.rate)

    def length(self) -> tuple[int, int]:
        return self.first.length()

    def describe(self) -> Any:
        return {"both": [self.first.describe(), self.second.describe()]}


def _voices(label: str) -> tuple[Entry, ...]:
    """Digits by what is said, or everything by who says it."""
    speakers = sorted({c.labels["speaker"] for c in bundled_speech()})
    # A woman and a man by turns, so that every fold holds both.
    turns = sorted(speakers, key=lambda s: (int(s[1:]), s[0]))
    fold = {s: str(i * FOLDS // len(turns)) for i, s in enumerate(turns)}
    return tuple(
        Entry(f"{fold[c.labels['speaker']]}/{c.name}", fold[c.labels["speaker"]], (str(c.labels[label]),), c.group,
              SoundFile(c.path, c.name))
        for c in bundled_speech()
        if c.labels["kind"] == "digit"
    )  # fmt: skip


def _generated(kind: str, each: int) -> tuple[Entry, ...]:
    """``each`` sounds of every class, dealt to folds."""
    found = []
    for label in generator.catalogue()[kind]:
        for k in range(each):
            seed = FIRST_SEED + k
            fold = str(k % FOLDS)
            found.append(
                Entry(f"{fold}/{label}-{seed}", fold, (label,), f"{kind}:{label}:{seed}", Made(kind, label, seed))
            )
    return tuple(found)


def _scenes(n: int) -> tuple[Entry, ...]:
    """Two events of different classes at once; every class is in as many scenes as any other, to within one."""
    labels = generator.catalogue()["event"]
    rng = np.random.default_rng(FIRST_SEED)
    pairs: list[tuple[str, str]] = []
    while len(pairs) < n:
        order = rng.permutation(labels).tolist()
        pairs += list(zip(order[::2], order[1::2], strict=False))
    found = []
    for k, (a, b) in enumerate(pairs[:n]):
        seed = 2 * FIRST_SEED + k
        fold = str(k % FOLDS)
        source = Both(Made("event", a, seed), Made("event", b, seed))
        found.append(Entry(f"{fold}/scene-{k:03d}", fold, (a, b), f"scene:{k}", source))
    return tuple(found)


@dataclass(frozen=True)
class _Own:
    title: str
    domain: str
    make: Callable[[], tuple[Entry, ...]]
    metric: str = "accuracy"


#: By key; ``probes/<key>`` is the task.
OWN: Mapping[str, _Own] = {
    "digits": _Own("spoken digits, the package's voices", "speech", lambda: _voices("digit")),
    "voices": _Own("sex of the speaker, the package's voices", "speech", lambda: _voices("sex")),
    "events": _Own("sound events, generated", "sound", lambda: _generated("event", 10)),
    "scenes": _Own("two sound events at once, generated", "sound", lambda: _scenes(180), metric="map"),
    "notes": _Own("instrument of a note, generated", "music", lambda: _generated("note", 12)),
    "phrases": _Own("instrument of a phrase, generated", "music", lambda: _generated("phrase", 12)),
}


@dataclass(frozen=True)
class OwnProbe(ProbeTask):
    """No parameters of its own."""

    key: ClassVar[str] = ""

    @property
    def name(self) -> str:
        return f"probes/{self.key}"

    def read(self) -> Collection:
        own = OWN[self.key]
        entries = own.make()
        classes = tuple(sorted({c for e in entries for c in e.labels}))
        return Collection(self.name, own.title, own.domain, classes, entries, folds=True, metric=own.metric)


class Digits(OwnProbe):
    key = "digits"


class Voices(OwnProbe):
    key = "voices"


class Events(OwnProbe):
    key = "events"


class Scenes(OwnProbe):
    key = "scenes"


class Notes(OwnProbe):
    key = "notes"


class Phrases(OwnProbe):
    key = "phrases"
