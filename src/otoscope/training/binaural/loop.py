"""The training loop of the tiny binaural encoders: AdamW under a cosine, averaged weights, exact resume.

Step ``k`` sees ``batch(seed, k)`` and nothing else that depends on when it runs, and the state on disk holds network,
head, optimiser and average; so a run that was stopped after any save ends in the same weights, bit for bit, on the same
machine and torch.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from otoscope.core.errors import StoreError
from otoscope.models.bundled.binaural_network import TinyBinaural
from otoscope.models.devices import seeded
from otoscope.training.binaural.objectives import OBJECTIVES, Objective
from otoscope.training.binaural.scenes import Bank, Sources, batch
from otoscope.training.schedule import average_into, learning_rate


@dataclass(frozen=True)
class Recipe:
    """Everything that the weights depend on besides the sounds. ``kind``: general or spatial."""

    kind: str
    seed: int = 1
    steps: int = 2400
    batch: int = 32
    rate: float = 1e-3
    warm_up: int = 100
    decay: float = 0.01
    average: float = 0.998


@dataclass
class State:
    """A run at one moment. ``mean`` is the network with averaged weights, which is what ships."""

    network: TinyBinaural
    mean: TinyBinaural
    objective: Objective
    optimiser: torch.optim.Optimizer
    step: int = 0


def start(recipe: Recipe) -> State:
    """Fresh weights under the recipe's seed."""
    with seeded(recipe.seed):
        network, objective = TinyBinaural(recipe.kind), OBJECTIVES[recipe.kind]()
    mean = TinyBinaural(recipe.kind)
    mean.load_state_dict(network.state_dict())
    parameters = [*network.parameters(), *objective.head.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=recipe.rate, betas=(0.9, 0.95), weight_decay=recipe.decay)
    return State(network, mean, objective, optimiser)


def train(
    state: State,
    recipe: Recipe,
    found: Sources,
    rooms: Bank,
    *,
    until: int | None = None,
    after: Callable[[State, float], None] | None = None,
) -> State:
    """Steps up to ``until`` (the recipe's end); ``after(state, loss)`` is called after each."""
    for step in range(state.step, recipe.steps if until is None else until):
        x, lateral = batch(found, rooms, recipe.seed, step, recipe.batch)
        for group in state.optimiser.param_groups:
            group["lr"] = learning_rate(recipe.rate, recipe.warm_up, recipe.steps, step)
        loss = state.objective.loss(state.network, torch.from_numpy(x), lateral, 1_000_003 * recipe.seed + step)
        state.optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(state.network.parameters(), 1.0, error_if_nonfinite=True)
        state.optimiser.step()
        state.step = step + 1
        average_into(state.mean, state.network, recipe.average, step)
        if after is not None:
            after(state, float(loss.detach()))
    return state


def save(state: State, recipe: Recipe, path: Path) -> None:
    """Write the run to ``path``, whole or not at all."""
    part = path.with_suffix(".part")
    torch.save(
        {
            "recipe": asdict(recipe),
            "step": state.step,
            "network": state.network.state_dict(),
            "mean": state.mean.state_dict(),
            "head": state.objective.head.state_dict(),
            "optimiser": state.optimiser.state_dict(),
        },
        part,
    )
    os.replace(part, path)


def resume(recipe: Recipe, path: Path) -> State:
    """The run in ``path``. Raises :class:`StoreError` where it is another recipe's."""
    saved: dict[str, Any] = torch.load(path, weights_only=True)
    if saved["recipe"] != asdict(recipe):
        raise StoreError("is a run of another recipe", where=str(path), fix="Name another folder, or remove the file.")
    state = start(recipe)
    state.network.load_state_dict(saved["network"])
    state.mean.load_state_dict(saved["mean"])
    state.objective.head.load_state_dict(saved["head"])
    state.optimiser.load_state_dict(saved["optimiser"])
    state.step = saved["step"]
    return state
