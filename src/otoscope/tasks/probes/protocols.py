"""How a collection is probed: X-ARES with its quirks, or a sound protocol. One preset sets all switches.

=============== ============================================ ===========================================
switch          ``xares-0.1.3`` (``xares-2026.04`` in brackets) ``clean`` (ours)
=============== ============================================ ===========================================
pad_frames      keep: the padding of a batch is pooled over  trim: every clip at its own length
crops           xares: most crops of a clip are lost         all crops, each an item of the clip's group
resampler       sinc (soxr)                                  soxr
select_on       published: valid; the *held-out* fold        inner: a part of training, groups kept whole
apart           no: groups may be on both sides              yes: training drops the test part's groups
probes          xares-mlp knn-xares                          xares-mlp mlp knn-cosine
heads           published: see the readouts frame, retrieval sound: without their quirks
                and asr
shuffle         stream                                       uniform
seeds           42                                           0 1 2 3 4
mean            over folds                                   over items
min_steps       0: the task's epochs                         300: more epochs where data are few
tokenizer       google-bert/bert-base-uncased                words: those of the training captions
lm              Qwen/Qwen2.5-0.5B                            the same
=============== ============================================ ===========================================

``heads`` is of events in time, captions and speech; ``tokenizer`` of captions, ``lm`` of speech: a folder, or a hub id
with or without ``@revision``. Fact sheet, sections 4.2, 4.3, 4.7, 4.11.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from otoscope.core.errors import UsageError
from otoscope.core.registry import suggestions

CHOICES: Mapping[str, tuple[str, ...]] = {
    "pad_frames": ("keep", "trim"),
    "crops": ("xares", "first", "all"),
    "resampler": ("sinc", "soxr"),
    "select_on": ("published", "valid", "inner", "last"),
    "shuffle": ("stream", "uniform"),
    "mean": ("folds", "items"),
    "heads": ("published", "sound"),
}
PROBES = ("xares-mlp", "mlp", "linear", "knn-xares", "knn-cosine", "layer-mix", "attention")
#: Switches of some kinds of task only, which name them in their identity: ``heads`` and what else by kind.
OF_KIND: Mapping[str, tuple[str, ...]] = {
    "clip": (),
    "frame": ("heads",),
    "contrastive": ("heads", "tokenizer"),
    "asr": ("heads", "lm"),
}


@dataclass(frozen=True)
class Protocol:
    """All switches. ``select_on``: ``published`` (as X-ARES: the valid part; of folds, the held-out one), ``valid`` (a
    valid part that is not the test part, else inner), ``inner`` (a part of training), ``last`` (no choice: the last
    epoch)."""

    name: str
    pad_frames: str
    crops: str
    resampler: str
    select_on: str
    apart: bool
    probes: str
    shuffle: str
    seeds: str
    mean: str
    min_steps: int = 0
    readers: int = 4
    heads: str = "sound"
    tokenizer: str = "words"
    lm: str = "Qwen/Qwen2.5-0.5B"

    def __post_init__(self) -> None:
        for key, known in CHOICES.items():
            if getattr(self, key) not in known:
                raise UsageError(f"there is no {key}={getattr(self, key)}", fix=f"Use {', '.join(known)}.")
        for name in self.probe_names:
            if name not in PROBES:
                near = suggestions(name, list(PROBES)) or list(PROBES)
                raise UsageError(f"there is no probe {name!r}", fix=f"Use {', '.join(near)}.")
        if not self.probe_names:
            raise UsageError("probes names no probe", fix=f"Use {' '.join(PROBES)}.")
        _ = self.seed_axis

    @property
    def probe_names(self) -> tuple[str, ...]:
        return tuple(self.probes.split())

    @property
    def seed_axis(self) -> tuple[int, ...]:
        try:
            found = tuple(int(s) for s in str(self.seeds).split())
        except ValueError as e:
            raise UsageError(f"seeds={self.seeds} is no list of numbers", fix="Write seeds=0 1 2.") from e
        if not found or len(set(found)) < len(found) or min(found) < 0:
            raise UsageError(f"seeds={self.seeds}: name different numbers from 0 on")
        return found

    def describe(self, kind: str = "clip") -> dict[str, Any]:
        """All switches that a task of this kind has but the preset's name: two names of one protocol are one."""
        others = {k for own in OF_KIND.values() for k in own} - set(OF_KIND[kind])
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in others | {"name"}}


_XARES = Protocol(
    "xares-0.1.3",
    pad_frames="keep",
    crops="xares",
    resampler="sinc",
    select_on="published",
    apart=False,
    probes="xares-mlp knn-xares",
    shuffle="stream",
    seeds="42",
    mean="folds",
    heads="published",
    tokenizer="google-bert/bert-base-uncased",
)
PROTOCOLS: Mapping[str, Protocol] = {
    p.name: p
    for p in (
        Protocol(
            "clean",
            pad_frames="trim",
            crops="all",
            resampler="soxr",
            select_on="inner",
            apart=True,
            probes="xares-mlp mlp knn-cosine",
            shuffle="uniform",
            seeds="0 1 2 3 4",
            mean="items",
            min_steps=300,
        ),
        _XARES,
        replace(_XARES, name="xares-2026.04", resampler="soxr"),
    )
}


def protocol(name: str, **switches: Any) -> Protocol:
    """A preset with the ``switches`` that are not None put in. Raises :class:`UsageError` on what does not exist."""
    if name not in PROTOCOLS:
        near = suggestions(name, list(PROTOCOLS)) or list(PROTOCOLS)
        raise UsageError(f"there is no protocol {name!r}", fix=f"Use {', '.join(near)}.")
    given = {k: (v if k in ("apart", "min_steps") else str(v)) for k, v in switches.items() if v is not None}
    return replace(PROTOCOLS[name], **given)  # type: ignore[arg-type]
