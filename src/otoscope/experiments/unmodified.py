"""What an unmodified model gives for the items that are compared with it, whatever the capability."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from otoscope.core.errors import ModelError, StoreError
from otoscope.core.nouns import Generate, Separate
from otoscope.experiments.bench import Asked, Bench, Broken
from otoscope.interventions.none import NoIntervention

R = TypeVar("R", Separate, Generate)
T = TypeVar("T")


def unmodified(
    bench: Bench, chunk: Sequence[Asked], kind: type[R], one: Callable[[Asked, R], T]
) -> dict[str, T | Broken]:
    """By item, what ``one`` gives for the requests of ``kind`` that want the unmodified output beside theirs. To be
    called outside the intervention; the empty one needs no second pass and gets none."""
    if isinstance(bench.intervention, NoIntervention):
        return {}
    found: dict[str, T | Broken] = {}
    for asked in chunk:
        if isinstance(asked.request, kind) and asked.request.against_bare:
            try:
                found[asked.item.id] = one(asked, asked.request)
            except StoreError:
                raise
            except Exception as e:
                found[asked.item.id] = Broken(e)
    return found


def of_item(found: Mapping[str, T | Broken], item: str, model: Any) -> T | None:
    """What was found for ``item``; None where it was not asked for. Raises :class:`ModelError` where it failed."""
    value = found.get(item)
    if isinstance(value, Broken):
        why = f"fails also without an intervention: {value.error}"
        raise ModelError(why, where=model.card.name) from value.error
    return value
