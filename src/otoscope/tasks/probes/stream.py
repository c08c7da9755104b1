"""Which sounds an X-ARES run really sees: its reading order, crops, batches, and the crops that it loses.

Reading (v0.1.3): the archives of a part are dealt to up to four reading processes; each cuts its clips into crops and
gives batches; the batches come in turn and are cut anew to the same size. All items of a batch are padded to the
longest, and stay so. Each item is stored under *clip name + number of the batch*; of neighbours with one name in one
shard of ``per_shard`` items only the first can be read back. In effect a clip gives its first crop, and another one
wherever a batch begins inside it. Fact sheet, section 4.2.

Everything here is counting: a pure function of lengths and of archive names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

Crops = Literal["xares", "first", "all"]


@dataclass(frozen=True)
class Unit:
    """One stored item: clip ``clip`` of the part (its position), crop ``crop`` (None: whole). ``batch`` are the clips
    that shared its batch, itself included; they set the length that it is padded to."""

    clip: int
    crop: int | None
    batch: tuple[int, ...]


def n_crops(duration_s: float, crop_s: float) -> int:
    """Whole crops of a clip; the rest is dropped, and a clip shorter than one crop is padded to it."""
    return max(1, int((duration_s + 1e-6) // crop_s))


def units(
    shards: Sequence[str],
    duration_s: Callable[[int], float],
    *,
    crop_s: float | None,
    crops: Crops,
    batch: int,
    per_shard: int = 2000,
    workers: int = 4,
) -> list[Unit]:
    """The items of one part in the order in which they are stored. ``shards`` names the archive of each clip."""
    stream = list(_stream(shards, duration_s, crop_s, batch, workers))
    stored: list[tuple[Unit, str]] = []
    for number, start in enumerate(range(0, len(stream), batch)):
        members = stream[start : start + batch]
        peers = tuple(dict.fromkeys(clip for clip, _ in members)) if crop_s is None else ()
        for clip, crop in members:
            stored.append((Unit(clip, crop, peers or (clip,)), f"{clip}/{number}"))
    if crops == "first":
        return [u for u, _ in stored if u.crop in (None, 0)]
    if crops == "all":
        return [u for u, _ in stored]
    kept = []
    for i, (unit, key) in enumerate(stored):
        neighbour = i % per_shard != 0 and stored[i - 1][1] == key
        if not neighbour:
            kept.append(unit)
    return kept


def _stream(
    shards: Sequence[str], duration_s: Callable[[int], float], crop_s: float | None, batch: int, workers: int
) -> Iterator[tuple[int, int | None]]:
    """(clip, crop) in reading order."""
    names = list(dict.fromkeys(shards))
    n = max(1, min(workers, len(names)))
    own: list[list[tuple[int, int | None]]] = [[] for _ in range(n)]
    of_name: dict[str, list[int]] = {}
    for clip, name in enumerate(shards):
        of_name.setdefault(name, []).append(clip)
    for number, name in enumerate(names):
        for clip in of_name[name]:
            if crop_s is None:
                own[number % n].append((clip, None))
            else:
                own[number % n] += [(clip, k) for k in range(n_crops(duration_s(clip), crop_s))]
    turns = max((len(o) + batch - 1) // batch for o in own)
    for turn in range(turns):
        for mine in own:
            yield from mine[turn * batch : (turn + 1) * batch]
