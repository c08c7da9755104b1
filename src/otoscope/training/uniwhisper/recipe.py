"""A training run as data: a TOML file, read strictly. ``otoscope train RECIPE`` runs it.

``[encoder]``: ``source`` (a Whisper folder or hub id) or ``fresh`` (a table of sizes); ``kind``: ``clap`` for a CLAP
checkpoint's audio encoder (ablation B), whose sounds last at most 10 s. ``[decoder]``: ``source``,
``kind``, ``rank`` (of ``lora``). ``[adapter]``: ``rate_hz``. ``[[sources]]``: ``name``, ``manifest`` (beside the
recipe), ``group``, ``split``, ``cap``, ``epochs``. ``[mixture]``, ``[batch]``, ``[optimise]``, ``[run]``: see the
classes. Every default is ours; the paper's are not known."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from otoscope.core.errors import InputError, OtoscopeError, UsageError
from otoscope.core.registry import suggestions
from otoscope.training.uniwhisper.augment import Augment
from otoscope.training.uniwhisper.feed import Budget
from otoscope.training.uniwhisper.mixture import Mixture, Source
from otoscope.training.uniwhisper.records import read_records

T = TypeVar("T")
#: How values of a field's type are told apart, and called.
_KINDS: Mapping[str, tuple[Any, str]] = {
    "float": (int | float, "number"), "int": (int, "whole number"), "str": (str, "text"), "bool": (bool, "switch"),
}  # fmt: skip


@dataclass(frozen=True)
class Optimise:
    """``accumulate`` batches a step and process. ``rate`` is the encoder's, ``adapter_rate`` also that of a trained
    decoder; ``layer_decay`` lowers the encoder's per layer downwards. ``average``: of the kept weights. Against
    forgetting: ``l2_init`` pulls the encoder to its start, ``distil`` keeps its states on ``distil_groups`` near the
    start's. ``ctc``: weight of the auxiliary on the tasks ``ctc_tasks`` (ours, for small runs). ``adapter_steps``
    train the adapter alone at first."""

    steps: int = 10_000
    accumulate: int = 1
    rate: float = 3e-5
    adapter_rate: float = 3e-4
    warmup: int = 500
    decay: float = 0.01
    layer_decay: float = 1.0
    clip: float = 1.0
    average: float = 0.999
    adapter_steps: int = 0
    l2_init: float = 0.0
    distil: float = 0.0
    distil_groups: tuple[str, ...] = ("speech",)
    ctc: float = 0.0
    ctc_tasks: tuple[str, ...] = ("asr",)
    token_average: bool = True


@dataclass(frozen=True)
class Running:
    """``full_share`` of batches are filled up to a random length up to the whole window. ``keep`` checkpoints stay.
    ``forgetting``: a Whisper checkpoint (usually the encoder's own) whose decoder reads the encoder at every
    evaluation. ``probes``: tasks for the encoder every ``probe_every`` steps. ``sharding``: ``fsdp2`` divides weights
    and optimiser among processes."""

    seed: int = 0
    precision: str = "no"
    workers: int = 0
    save_every: int = 500
    log_every: int = 50
    evaluate_every: int = 500
    probe_every: int = 0
    probes: tuple[str, ...] = ()
    forgetting: str = ""
    sharding: str = "none"
    keep: int = 2
    full_share: float = 0.1
    checkpointing: bool = False

    def __post_init__(self) -> None:
        if self.sharding not in ("none", "fsdp2"):
            raise UsageError(f"there is no sharding {self.sharding!r}", where="run", fix="none or fsdp2")


@dataclass(frozen=True)
class Listed:
    """A source as the recipe names it."""

    name: str
    manifest: str
    group: str
    split: str = "train"
    cap: float | None = None
    epochs: int | None = None


@dataclass(frozen=True)
class Recipe:
    """See the module. ``folder`` is where paths begin."""

    name: str
    folder: Path
    encoder: Mapping[str, Any]
    decoder: Mapping[str, Any]
    sources: Sequence[Listed]
    adapter: Mapping[str, Any] = field(default_factory=dict)
    mixture: Mixture = field(default_factory=Mixture)
    batch: Budget = field(default_factory=Budget)
    optimise: Optimise = field(default_factory=Optimise)
    run: Running = field(default_factory=Running)
    augment: Augment = field(default_factory=Augment)
    templates: str | None = None
    title: str = ""

    def load_sources(self, split: str | None = None) -> list[Source]:
        """The records of the sources, of their own split or of ``split``; a source without any is an error for
        training and left out for another split."""
        found = []
        for s in self.sources:
            records = [r for r in read_records(self.folder / s.manifest) if r.split == (split or s.split)]
            if records:
                found.append(Source(s.name, s.group, records, s.cap, s.epochs))
            elif split is None:
                raise InputError(f"holds no records of the split {s.split!r}", where=str(self.folder / s.manifest))
        return found

    def to_json(self) -> dict[str, Any]:
        """Plain JSON of everything that a result can depend on."""
        told = asdict(self)
        del told["folder"]
        return told


_TABLES = {
    "encoder",
    "decoder",
    "adapter",
    "sources",
    "mixture",
    "batch",
    "optimise",
    "run",
    "augment",
    "templates",
    "title",
}
_ENCODER, _DECODER, _ADAPTER = {"source", "fresh", "kind"}, {"source", "kind", "rank"}, {"rate_hz"}


def read_recipe(path: str | os.PathLike[str]) -> Recipe:
    """A recipe from its file. Raises :class:`InputError`, naming file and key."""
    file = Path(path)
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as e:
        raise InputError(f"is no recipe: {e}", where=str(file)) from e
    where = str(file)
    _known(table, _TABLES, where)
    for name in ("encoder", "decoder", "sources"):
        if name not in table:
            raise InputError(f"lacks [{name}]" if name != "sources" else "lacks [[sources]]", where=where)
    _known(table["encoder"], _ENCODER, f"{where} [encoder]")
    _known(table["decoder"], _DECODER, f"{where} [decoder]")
    _known(table.get("adapter", {}), _ADAPTER, f"{where} [adapter]")
    if len(set(table["encoder"]) & {"source", "fresh"}) != 1:
        raise InputError("[encoder] wants either source or fresh", where=where)
    _check_kind(table, where)
    if "source" not in table["decoder"]:
        raise InputError("[decoder] lacks source", where=where)
    sources = [_of(Listed, s, f"{where} [[sources]]") for s in table["sources"]]
    if twice := {s.name for s in sources if sum(o.name == s.name for o in sources) > 1}:
        raise InputError(f"two sources are called {sorted(twice)[0]!r}", where=where)
    mixture = dict(table.get("mixture", {}))
    mixture["shares"] = {g: _ends(v, where) for g, v in mixture.get("shares", {}).items()}
    return Recipe(
        file.stem,
        file.parent,
        table["encoder"],
        table["decoder"],
        tuple(sources),
        table.get("adapter", {}),
        _of(Mixture, mixture, f"{where} [mixture]"),
        _of(Budget, table.get("batch", {}), f"{where} [batch]"),
        _of(Optimise, table.get("optimise", {}), f"{where} [optimise]"),
        _of(Running, table.get("run", {}), f"{where} [run]"),
        _of(Augment, table.get("augment", {}), f"{where} [augment]"),
        table.get("templates"),
        str(table.get("title", file.stem)),
    )


def _check_kind(table: Mapping[str, Any], where: str) -> None:
    kind, run = table["encoder"].get("kind", "whisper"), table.get("run", {})
    if kind not in ("whisper", "clap"):
        raise InputError(f"there is no encoder of the kind {kind!r}", where=where, fix="whisper or clap")
    if kind != "clap":
        return
    for wrong, what in (
        ("fresh" in table["encoder"], "a CLAP encoder is loaded, not drawn: give source"),
        (bool(run.get("forgetting")), "forgetting is read by Whisper's decoder, and CLAP has none"),
        (bool(run.get("checkpointing")), "CLAP's class has no checkpointing"),
    ):
        if wrong:
            raise InputError(what, where=where)


def _ends(value: Any, where: str) -> tuple[float, float]:
    ends = value if isinstance(value, list) else [value, value]
    if len(ends) != 2 or not all(isinstance(v, int | float) and not isinstance(v, bool) for v in ends):
        raise InputError(
            f"a share is {value!r}", where=where, fix="Give a number, or two: at the beginning and at the end."
        )
    return float(ends[0]), float(ends[1])


def _of(cls: type[T], table: Mapping[str, Any], where: str) -> T:
    known = {f.name: f for f in fields(cls)}  # type: ignore[arg-type]
    _known(table, set(known), where)
    given = {k: tuple(v) if isinstance(v, list) else v for k, v in table.items()}
    for name, value in given.items():
        wanted = str(known[name].type).removesuffix(" | None")
        if wanted in _KINDS:
            kind, word = _KINDS[wanted]
            if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
                raise InputError(f"{name}={value!r} is no {word}", where=where)
    try:
        return cls(**given)
    except TypeError as e:
        raise InputError(str(e).partition(") ")[2] or str(e), where=where) from e
    except OtoscopeError as e:
        raise InputError(str(e), where=where) from e


def _known(table: Mapping[str, Any], allowed: set[str], where: str) -> None:
    for key in table:
        if key not in allowed:
            near = suggestions(key, sorted(allowed)) or sorted(allowed)
            raise InputError(f"unknown key {key!r}", where=where, fix=f"Known: {', '.join(near)}.")
