"""Named places inside a network, as data.

A family of networks is described once by a :class:`SiteMap`: what its parts are called here, and where they are in the
module tree. Probing, calibration and caching address the same names. Nothing here touches a network, and no torch is
imported; the engine in ``interventions/hooks.py`` acts at the places.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from otoscope.core.display import Displayed, Shown
from otoscope.core.errors import UsageError
from otoscope.core.registry import suggestions

#: ``input`` and ``output`` are of the module at ``path``; the others are inside the one call of an attention core that
#: this module makes: its queries, keys and values ``[B, H, T, d]``, its map ``[B, H, Tq, Tk]``, and its result.
At = Literal["input", "output", "query", "key", "value", "attention_map", "attention_result"]


@dataclass(frozen=True)
class Site:
    """One named place. ``path`` is a dotted module path, with ``{layer}`` where there is one per layer; ``item`` is the
    position or name of an argument (``input``), or the position in a tuple (``output``); None means the first or only
    one. ``axes`` names the axes of the value there. ``outside``: what drives the network comes by here, the network
    itself does not."""

    name: str
    path: str
    at: At = "output"
    item: int | str | None = None
    axes: tuple[str, ...] = ()
    doc: str = ""
    outside: bool = False

    @property
    def per_layer(self) -> bool:
        return "{layer}" in self.path


SITE_HEADER = ("site", "where", "axes", "what it is")


def site_row(site: Site) -> tuple[str, str, str, str]:
    """A line of a table under :data:`SITE_HEADER`."""
    return site.name, f"{site.path or 'the network'} ({site.at})", " ".join(site.axes), site.doc


@dataclass(frozen=True)
class Place:
    """A site at one layer (None where it has no layers)."""

    site: Site
    layer: int | None = None

    @property
    def path(self) -> str:
        return self.site.path if self.layer is None else self.site.path.format(layer=self.layer)

    def __str__(self) -> str:
        return self.site.name if self.layer is None else f"{self.site.name}.{self.layer}"


@dataclass(frozen=True)
class SiteMap(Displayed):
    """The sites of one network of ``family`` with ``n_layers`` layers. ``clock`` is the input that tells the network
    its flow time (None where it has none)."""

    family: str
    n_layers: int
    sites: tuple[Site, ...]
    clock: Site | None = None

    def __repr__(self) -> str:
        return f"SiteMap({self.family}, {self.n_layers} layers: {', '.join(s.name for s in self.sites)})"

    def shown(self) -> Shown:
        facts = {"layers": self.n_layers, "clock": None if self.clock is None else self.clock.name}
        return Shown(f"Sites of {self.family}", facts, SITE_HEADER, [site_row(s) for s in self.sites])

    def site(self, name: str) -> Site:
        """The site called ``name``. Raises :class:`UsageError` that lists the candidates."""
        for site in self.sites:
            if site.name == name:
                return site
        names = [s.name for s in self.sites]
        near = suggestions(name, names)
        raise UsageError(
            f"{self.family} has no site {name!r}",
            fix=(f"Did you mean {' or '.join(near)}? " if near else "") + f"It has: {', '.join(names)}.",
        )

    def places(self, name: str, layers: Sequence[int] | None = None) -> list[Place]:
        """Where ``name`` is: at each of ``layers`` (None: all; negative from the end). Raises :class:`UsageError` on
        a site or layer that does not exist, and on layers of a site that has none."""
        site = self.site(name)
        if not site.per_layer:
            if layers is not None:
                raise UsageError(f"site {name!r} of {self.family} has no layers", fix="Leave the layers out.")
            return [Place(site)]
        wanted = range(self.n_layers) if layers is None else layers
        bad = [i for i in wanted if not -self.n_layers <= i < self.n_layers]
        if bad:
            raise UsageError(
                f"{self.family} has no layer {bad[0]}", fix=f"Layers are 0 to {self.n_layers - 1}, or negative."
            )
        if layers is not None and not layers:
            raise UsageError(f"no layer of {name!r} is selected", fix=f"Layers are 0 to {self.n_layers - 1}.")
        return [Place(site, i % self.n_layers) for i in wanted]
