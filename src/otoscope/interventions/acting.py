"""The base of interventions that act at named sites: a method says which actions, the rest is common.

A method is a frozen dataclass with one overridden method, :meth:`Acting.actions`; its fields are its JSON form.
``a+b`` composes: all actions go into one context, in order, and one report counts them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from otoscope.core.errors import UsageError
from otoscope.core.nouns import Intervention, Model
from otoscope.core.sites import SiteMap
from otoscope.interventions.hooks import Action, Skip, hooked
from otoscope.interventions.none import NoIntervention
from otoscope.interventions.shadow import ROOT
from otoscope.interventions.shown import ShownMethod
from otoscope.interventions.tally import Tally, sited


class Acting(ShownMethod):
    """An intervention made of actions. Subclasses are frozen dataclasses whose fields are plain JSON."""

    name: ClassVar[str]
    version: ClassVar[int] = 1

    def actions(self, model: Any, sites: SiteMap, tally: Tally) -> Sequence[Action]:
        """The actions of one context, with fresh state. ``model`` is loaded and sited."""
        raise NotImplementedError

    def identity(self) -> Mapping[str, Any]:
        own = {f.name: getattr(self, f.name) for f in fields(self)}  # type: ignore[arg-type]
        return {"class": self.name, "version": self.version, **own}

    @contextmanager
    def on(self, model: Model) -> Iterator[Tally]:
        inside = sited(model, self.name)
        tally = Tally(model)
        actions = [*tally.actions(inside.sites), *self.actions(model, inside.sites, tally)]
        if sum(isinstance(a, Skip) and a.place == ROOT for a in actions) > 1:
            raise UsageError("two parts replace the whole evaluation, so they cannot be composed", where=self.name)
        with hooked(inside.network, inside.sites, actions):
            yield tally


@dataclass(frozen=True)
class Composed(Acting):
    """Several interventions at once, in order."""

    name: ClassVar[str] = "composed"
    parts: tuple[Acting, ...] = ()

    def actions(self, model: Any, sites: SiteMap, tally: Tally) -> Sequence[Action]:
        return [a for part in self.parts for a in part.actions(model, sites, tally)]

    def identity(self) -> Mapping[str, Any]:
        return {"class": self.name, "version": self.version, "parts": [dict(p.identity()) for p in self.parts]}


def compose(parts: Sequence[Intervention]) -> Intervention:
    """``parts`` as one; the empty intervention adds nothing. Raises :class:`UsageError` on a part that neither acts
    through sites nor nests (pruners and evictors do)."""
    from otoscope.interventions.stacked import Ranked, stack

    real = [p for p in parts if not isinstance(p, NoIntervention)]
    if len(real) < 2:
        return real[0] if real else NoIntervention()
    for part in real:
        if not isinstance(part, Acting | Ranked):
            raise UsageError(f"{dict(part.identity())} cannot be composed: it does not act through named sites")
    acting = tuple(p for p in real if isinstance(p, Acting))
    ranked = [p for p in real if isinstance(p, Ranked)]
    outer = acting if len(acting) < 2 else (Composed(acting),)
    return stack([*outer, *ranked]) if ranked else outer[0]


def layer_list(layers: Any, where: str) -> tuple[int, ...] | None:
    """``none`` (all), ``3``, ``0+2+5`` or ``2-4`` (inclusive), as numbers. Raises :class:`UsageError`."""
    if layers is None:
        return None
    try:
        parts = [p.split("-") if not p.startswith("-") else [p] for p in str(layers).split("+")]
        found = [i for p in parts for i in range(int(p[0]), int(p[-1]) + 1)]
    except ValueError as e:
        raise UsageError(f"layers={layers} are no layers", where=where, fix="Write 3, 0+2+5 or 2-4.") from e
    if not found or len(set(found)) != len(found):
        raise UsageError(f"layers={layers} names no layer, or one twice", where=where)
    return tuple(found)


def check_seed(seed: int, where: str) -> None:
    """Raises :class:`UsageError` on what can seed no draw."""
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise UsageError(f"seed={seed} is not a whole number from 0", where=where)


def check_times(start: float, end: float, where: str) -> None:
    """Flow times lie in [0, 1], the start before the end. Raises :class:`UsageError`."""
    if (
        not all(isinstance(x, int | float) and not isinstance(x, bool) for x in (start, end))
        or not 0 <= start < end <= 1
    ):
        raise UsageError(f"{start} to {end} is no stretch of flow time", where=where, fix="0 <= start < end <= 1.")
