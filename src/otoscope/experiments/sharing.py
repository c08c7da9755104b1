"""What cells that differ only in their intervention share: the sounds of an item, and the order that makes it worth it.

Such cells are worked through together, shard by shard, so that an item's sounds are decoded and resampled once and the
model finds its clips encoded (``remember`` of the model, see :mod:`otoscope.models.audiolms.sharing`). What is kept is
of one shard, whatever the number of items. Rows are the same, and say what rendering took when it was done.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from otoscope.core import memory
from otoscope.core.audio import Audio
from otoscope.core.items import Item
from otoscope.core.nouns import Task
from otoscope.experiments.plan import Planned

#: Bytes of features and encoder outputs that a model keeps beside those of the latest prompt.
MODEL_BYTES = 2**31
#: Bytes of rendered sounds that are kept beside the latest.
SOUND_BYTES = 2**28


@dataclass(frozen=True)
class Spent:
    """What making an item's sounds took."""

    seconds: float
    peak_bytes: int | None


def render(item: Item, rate: int) -> tuple[dict[str, Audio], Spent]:
    """The sounds of ``item`` at ``rate``, and what they took."""
    memory.forget_peak()
    start = time.perf_counter()
    sounds = item.inputs.render(rate)
    return sounds, Spent(time.perf_counter() - start, memory.peak_bytes())


class Shelf:
    """Rendered sounds by item, the oldest leave. One shelf serves one task and condition at a time."""

    def __init__(self, max_bytes: int = SOUND_BYTES) -> None:
        self.max_bytes = max_bytes
        self._kept: OrderedDict[tuple[str, int], tuple[dict[str, Audio], Spent]] = OrderedDict()

    def rendered(self, name: str, item: Item, rate: int) -> tuple[dict[str, Audio], Spent]:
        """The sounds of ``item`` at ``rate``, and what they took when they were made."""
        key = (name, rate)
        if key in self._kept:
            return self._kept[key]
        self._kept[key] = found = render(item, rate)
        while len(self._kept) > 1 and self.nbytes > self.max_bytes:
            self._kept.popitem(last=False)
        return found

    @property
    def nbytes(self) -> int:
        return sum(a.samples.nbytes for sounds, _ in self._kept.values() for a in sounds.values())


def together(cells: Sequence[Planned], tasks: dict[str, Task]) -> list[list[Planned]]:
    """Cells in groups that share their items: same model, task, condition and seed, one round, no readout. Groups
    are in the order of their first cells; ``tasks`` by cell."""
    groups: dict[tuple[str, ...], list[Planned]] = {}
    for planned in cells:
        c, task = planned.cell, tasks[planned.id]
        key = (str(c.model), str(c.task), str(c.condition), str(c.seed))
        alone = task.rounds != 1 or task.keeps_outputs or planned.error is not None
        groups.setdefault((*key, planned.id) if alone else key, []).append(planned)
    return list(groups.values())
