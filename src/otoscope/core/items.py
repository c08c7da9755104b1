"""Items: what is asked about which sound, and what the truth is."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, runtime_checkable

from otoscope.core.audio import Audio
from otoscope.core.display import Displayed, Shown

_SHA256 = re.compile(r"[0-9a-f]{64}")

#: A typed factor of a row: frequency, SNR, rung, length, hop count, ...
Factor = str | int | float | bool


@runtime_checkable
class Inputs(Protocol):
    """The named sounds of an item, made when they are needed.

    ``names`` are known without rendering. ``render(rate)`` returns all of them at ``rate`` Hz (jointly, because
    stimulus transforms such as magnitude/phase hybrids need several at once). ``describe()`` is plain JSON and enters
    the item's identity: the parameters and seed, or the file's sha256.
    """

    @property
    def names(self) -> tuple[str, ...]: ...

    def render(self, rate: int) -> dict[str, Audio]: ...

    def describe(self) -> Any: ...


@dataclass(frozen=True)
class Item(Displayed):
    """One question about one set of sounds.

    ``id`` is unique in its task; ``base_id`` survives conditions and lengths, so paired comparisons are made on it;
    ``group`` (speaker, recording, noise seed) must never straddle a split and is what the bootstrap resamples.
    """

    id: str
    base_id: str
    group: str
    inputs: Inputs
    factors: Mapping[str, Factor] = field(default_factory=dict)
    prompt: str | None = None
    target: Any = None

    def describe(self) -> Any:
        """JSON for identities: everything a score can depend on."""
        return {
            "id": self.id,
            "base_id": self.base_id,
            "group": self.group,
            "factors": dict(self.factors),
            "inputs": self.inputs.describe(),
            "prompt": self.prompt,
            "target": self.target,
        }

    def shown(self) -> Shown:
        """Its sounds are named, not rendered."""
        facts = {"group": self.group, "base": self.base_id, "inputs": self.inputs.names, "factors": dict(self.factors)}
        return Shown(f"Item {self.id}", facts | {"prompt": self.prompt, "target": self.target})

    def with_inputs(self, inputs: Inputs) -> Item:
        return replace(self, inputs=inputs)


def recordings(item: Item) -> frozenset[str]:
    """The sha256 of every recording that the description of the item's sounds names."""
    found: set[str] = set()
    rest = [item.inputs.describe()]
    while rest:
        part = rest.pop()
        if isinstance(part, Mapping):
            rest += part.values()
        elif isinstance(part, list | tuple):
            rest += part
        elif isinstance(part, str) and _SHA256.fullmatch(part):
            found.add(part)
    return frozenset(found)


@dataclass(frozen=True)
class Transformed:
    """Inputs seen through ``transform``: made by ``inner``, then changed jointly. ``label`` is its identity."""

    inner: Inputs
    transform: Callable[[dict[str, Audio]], dict[str, Audio]]
    label: Any

    @property
    def names(self) -> tuple[str, ...]:
        return self.inner.names

    def render(self, rate: int) -> dict[str, Audio]:
        return self.transform(self.inner.render(rate))

    def describe(self) -> Any:
        return {"of": self.inner.describe(), "transform": self.label}
