"""The base of methods that act on a convergence profile: measured on calibration items, or read from a file."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from otoscope.core.errors import InputError, UsageError
from otoscope.interventions.acting import Acting
from otoscope.interventions.convergence import Convergence, Meter
from otoscope.interventions.hooks import hooked
from otoscope.interventions.tally import sited


@dataclass(frozen=True)
class Profiled(Acting):
    """``profile``: a JSON file; without one, the profile is fitted."""

    profile: str | None = None
    learned_: Mapping[str, Any] | None = field(default=None, compare=False)

    @property
    def needs_fit(self) -> bool:
        """Whether calibration items are needed before it can act."""
        return self.profile is None and self.learned_ is None

    def identity(self) -> Mapping[str, Any]:
        own = {k: v for k, v in super().identity().items() if k not in ("profile", "learned_")}
        return own | {"given": read_json(self.profile) if self.profile else None}

    def learns(self) -> Mapping[str, Any]:
        return {"class": "convergence", "version": 1}

    def learn(self, model: Any, calls: Sequence[Callable[[], Any]]) -> dict[str, Any]:
        """The convergence profile over the calibration items."""
        inside = sited(model, self.name)
        meter = Meter(inside.sites.n_layers)
        with hooked(inside.network, inside.sites, meter.actions(inside.sites)):
            for call in calls:
                call()
                meter.close_item()
        return meter.result().to_json()

    def given(self, learned: Mapping[str, Any]) -> Self:
        """This method with its profile."""
        return replace(self, learned_=learned)

    def convergence(self) -> Convergence:
        """The profile. Raises :class:`UsageError` where nothing was fitted."""
        data = self.learned_ if self.profile is None else read_json(self.profile)
        if data is None:
            fix = "Give profile= (lsac also takes plan=), or let an experiment fit it (fit_on)."
            raise UsageError("has no profile yet", where=self.name, fix=fix)
        return Convergence.from_json(data)


def read_json(path: str) -> Any:
    """A JSON file. Raises :class:`InputError`."""
    try:
        return json.loads(Path(path).expanduser().read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as e:
        raise InputError(f"cannot be read: {e}", where=path) from e
