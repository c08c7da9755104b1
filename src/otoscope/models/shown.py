"""How a model shows itself: its card, and the sites of its network once that is loaded."""

from __future__ import annotations

from typing import Any

from otoscope.core.display import Displayed, Shown
from otoscope.core.errors import ModelError
from otoscope.core.sites import SITE_HEADER, site_row


class ShownModel(Displayed):
    """A model: it has a ``card``, and ``sites`` where its network has named places."""

    @property
    def ready(self) -> bool:
        """Whether the network is in memory. A display never loads it."""
        return True

    def __repr__(self) -> str:
        me: Any = self
        return f"{type(self).__name__}({me.card!r})"

    def shown(self) -> Shown:
        me: Any = self
        facts = me.card.facts()
        name = f"{facts.pop('model')} ({type(self).__name__})"
        if not hasattr(type(self), "sites"):
            return Shown(name, facts)
        if not self.ready:
            return Shown(name, facts, note="Its sites are listed once it is loaded: call load().")
        try:
            sites = me.sites.sites
        except ModelError as e:  # nobody has described them: it says so, and how to
            return Shown(name, facts, note=str(e))
        return Shown(name, facts, SITE_HEADER, [site_row(s) for s in sites])
