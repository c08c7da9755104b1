"""A second evaluation of the network at the same state and time, under another prompt.

Beside every evaluation the network is run once more with the other prompt, and what it computes at chosen places is
put into the evaluation itself. So values are exchanged between two prompts without a second solve, and nothing but
the prompt differs (activation patching, Vig et al. 2020; at equal states, which is ours). The shadow's work is neither
counted as saved nor as spent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from otoscope.core import clock
from otoscope.core.errors import ModelError
from otoscope.core.sites import Place, Site
from otoscope.interventions.hooks import Action, Change, Observe, Skip, When

#: The network's own result.
ROOT = Place(Site("network", "", "output"))


def patch(model: Any, prompt: str, wanted: Sequence[Place], when: When | None, *, swap: bool = False) -> list[Action]:
    """Put what ``prompt`` ("" for no text) gives at ``wanted`` into the evaluation under the item's own prompt.
    ``swap``: the other way round, what the item's own prompt gives goes into an evaluation under ``prompt``."""
    text, mask = encode_prompt(model, prompt)
    kept: dict[str, Any] = {}

    def evaluate(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        run, other = type(module).forward, {**kwargs, "text": text, "text_mask": mask}
        shadow, real = (kwargs, other) if swap else (other, kwargs)
        kept.clear()
        with clock.at(shadow=True):
            run(module, *args, **shadow)
        return run(module, *args, **real)

    actions: list[Action] = [Skip(ROOT, evaluate)]
    for place in wanted:
        actions.append(Observe(place, _keeper(kept, place), shadow=True))
        actions.append(Change(place, _exchanger(kept, place), when))
    return actions


def _keeper(kept: dict[str, Any], place: Place) -> Any:
    def keep(value: Any) -> None:
        kept[str(place)] = value

    return keep


def _exchanger(kept: dict[str, Any], place: Place) -> Any:
    def exchange(value: Tensor) -> Tensor:
        if str(place) not in kept:
            raise ModelError(f"the evaluation under the other prompt did not come by {place}")
        return fitted(kept[str(place)], value, place)

    return exchange


def fitted(other: Tensor, own: Tensor, place: Place) -> Tensor:
    """``other`` in the shape of ``own``. Prompts of different length differ in tokens: they are matched by position,
    and the last token stands in for missing ones. Raises :class:`ModelError` where that makes no sense (maps)."""
    if other.shape == own.shape:
        return other
    axes = place.site.axes
    if "token" not in axes:
        raise ModelError(
            f"the two prompts give different shapes at {place}: {tuple(other.shape)} and {tuple(own.shape)}",
            fix="Choose prompts with as many tokens.",
        )
    axis = axes.index("token")
    index = torch.arange(own.shape[axis], device=own.device).clamp_max(other.shape[axis] - 1)
    return other.index_select(axis, index)


def encode_prompt(model: Any, prompt: str) -> tuple[Tensor | None, Tensor | None]:
    """A prompt's text ``[1, S, D]`` and mask, as the network is given them. Raises :class:`ModelError` where the model
    cannot encode one."""
    if not prompt:
        return None, None
    encode = getattr(model, "encode_text", None)
    if encode is None:
        raise ModelError("has no encode_text(prompt), so no other prompt can be put in", where=model.card.name)
    with torch.no_grad():
        text, mask = encode(prompt)
    return text, mask
