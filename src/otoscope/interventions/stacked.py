"""Methods that nest: pruners, an evictor and what acts through sites, in one context.

Each part enters its own context inside the last, in the order in which they must stand: what acts through sites, then
pruners by rising layer, then the evictor, whatever order they were named in. The report is one. With several pruners,
each scores what the ones below have left, so their shares multiply.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, ClassVar, Protocol, runtime_checkable

from numpy.typing import NDArray

from otoscope.core.errors import UsageError
from otoscope.core.nouns import Fitted, Intervention, Model, Traced
from otoscope.interventions.decoder import EVICTS
from otoscope.interventions.prune.report import Pruned
from otoscope.interventions.shown import ShownMethod


@runtime_checkable
class Ranked(Protocol):
    """A method that nests. ``rank``: a pruner's layer, or :data:`~otoscope.interventions.decoder.EVICTS`."""

    @property
    def rank(self) -> float: ...

    def identity(self) -> Mapping[str, Any]: ...

    def on(self, model: Any) -> Any: ...


@dataclass(frozen=True)
class Stacked(ShownMethod):
    """``parts`` from the outside in."""

    name: ClassVar[str] = "stacked"
    version: ClassVar[int] = 1
    parts: tuple[Intervention, ...] = ()

    def identity(self) -> Mapping[str, Any]:
        return {"class": self.name, "version": self.version, "parts": [dict(p.identity()) for p in self.parts]}

    @contextmanager
    def on(self, model: Model) -> Iterator[Reports]:
        with ExitStack() as stack:
            found = [(name_of(part), stack.enter_context(part.on(model))) for part in self.parts]
            yield Reports([(name, report) for name, report in found if report is not None])

    # --- the one part that learns ---

    @property
    def needs_fit(self) -> bool:
        return self._learner is not None

    @property
    def answer_tokens(self) -> int | None:
        return getattr(self._learner, "answer_tokens", None)

    def learns(self) -> Mapping[str, Any]:
        return self._the_learner.learns()

    def learn(self, model: Model, calls: Sequence[Callable[[], Any]]) -> Mapping[str, Any]:
        return self._the_learner.learn(model, calls)

    def given(self, learned: Mapping[str, Any]) -> Intervention:
        learner = self._the_learner
        return replace(self, parts=tuple(p.given(learned) if p is learner else p for p in self.parts))

    @property
    def _learner(self) -> Fitted | None:
        return next((p for p in self.parts if isinstance(p, Fitted) and p.needs_fit), None)

    @property
    def _the_learner(self) -> Fitted:
        learner = self._learner
        if learner is None:
            raise UsageError("has no part that learns", where=self.name)
        return learner


def stack(parts: Sequence[Any]) -> Stacked:
    """``parts``, each ranked or acting through sites, in the order in which they nest. Raises :class:`UsageError` on
    parts that cannot stand together."""
    ranked = sorted((p for p in parts if isinstance(p, Ranked)), key=lambda p: p.rank)
    for a, b in pairwise(ranked):
        if a.rank == b.rank:
            what = "evict from one cache" if a.rank == EVICTS else f"prune at layer {a.rank:g}"
            fix = "Leave one of them out." if a.rank == EVICTS else "Give the later one a higher layer=."
            raise UsageError(f"{name_of(a)} and {name_of(b)} cannot both {what}", where="a+b", fix=fix)
    if sum(isinstance(p, Fitted) and p.needs_fit for p in parts) > 1:
        raise UsageError("two parts would have to learn", where="a+b", fix="Give one of them its profile= as a file.")
    return Stacked((*(p for p in parts if not isinstance(p, Ranked)), *ranked))


def name_of(part: Any) -> str:
    """What a part is called."""
    return str(getattr(part, "name", type(part).__name__))


@dataclass
class Reports:
    """The report of a stack: everybody's numbers. Where two say different things under one name, the later one's
    carries the name of its method; shares of several pruners are made into those of all."""

    parts: Sequence[tuple[str, Any]] = field(default_factory=list)

    @property
    def notes(self) -> list[str]:
        return [note for _, report in self.parts for note in getattr(report, "notes", ())]

    def trace(self) -> Mapping[str, NDArray[Any]]:
        """Of the first part that tells: parts behind it see fewer tokens than the prompt has."""
        told = (dict(report.trace()) for _, report in self.parts if isinstance(report, Traced))
        return next(filter(None, told), {})

    def drain(self) -> Mapping[str, float]:
        pruned = [report for _, report in self.parts if isinstance(report, Pruned)]
        whole = _of_all(pruned) if len(pruned) > 1 else {}
        found: dict[str, float] = {}
        for name, report in self.parts:
            for key, value in report.drain().items():
                if found.setdefault(key, value) != value:
                    found[f"{key} ({name})"] = value
        return found | whole


def _of_all(pruned: Sequence[Pruned]) -> dict[str, float]:
    """The numbers of several pruners, by rising layer, as if they were one."""
    told = {"scoring_seconds": sum(p.scoring_s for p in pruned)}
    rows = [clips for clips in zip(*(p.clips for p in pruned), strict=True) if clips[0][0]]
    if not rows:
        return told
    edges = [p.layer for p in pruned] + [pruned[0].n_layers]
    spread = 0.0
    for clips in rows:
        left = sum(kept / clips[0][0] * (b - a) for (_, kept), (a, b) in zip(clips, pairwise(edges), strict=True))
        spread += (edges[0] + left) / pruned[0].n_layers
    kept = sum(clips[-1][1] for clips in rows) / len(rows)
    share = sum(clips[-1][1] / clips[0][0] for clips in rows) / len(rows)
    return told | {
        "audio_tokens": sum(clips[0][0] for clips in rows) / len(rows),
        "kept_audio_tokens": kept,
        "kept_audio_share": share,
        "layer_kept_audio_share": spread / len(rows),
    }
