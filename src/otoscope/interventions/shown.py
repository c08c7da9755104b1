"""How an intervention shows itself: its parameters, and what it has learned or was given as its plan."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from otoscope.core.display import Displayed, Shown

#: A table: what its columns are called, and its rows.
PlanTable = tuple[Sequence[str], Sequence[Sequence[Any]]]


class ShownMethod(Displayed):
    """An intervention with an ``identity()``."""

    def plan_table(self) -> PlanTable:
        """What it will do where, as far as that is settled; nothing where its parameters say it all."""
        return (), ()

    def shown(self) -> Shown:
        me: Any = self
        facts = dict(me.identity())
        name = facts.pop("class")
        facts.pop("version", None)
        given = facts.pop("given", None)
        if getattr(me, "needs_fit", False):
            note = "Not fitted yet: a run fits it on calibration items (fit_on), or name a profile."
        else:
            note = "" if given is None else "Its profile or plan was read from a file or fitted."
        header, rows = self.plan_table()
        if parts := facts.pop("parts", None):
            header, rows = ("part", "parameters"), [(p["class"], _parameters(p)) for p in parts]
        return Shown(f"Intervention {name}", facts, header, rows, note)


def _parameters(identity: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in identity.items() if k not in ("class", "version", "given", "learned_")}
