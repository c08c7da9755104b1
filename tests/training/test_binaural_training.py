"""Training of the tiny binaural encoders: same seed, same weights; a stopped run ends as if it had not been stopped."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from otoscope.core.errors import StoreError
from otoscope.training.binaural.loop import Recipe, resume, save, start, train
from otoscope.training.binaural.scenes import Bank, N, Sources, bank, batch, held_out, rooms, sources
from otoscope.training.schedule import learning_rate


@pytest.fixture(scope="module")
def world() -> tuple[Sources, Bank]:
    """The package's own sounds, and the responses of one room without reflections."""
    found = sources(None, held=False, generated_per_label=1)
    return found, Bank(*few(bank(held=False, azimuths=4)))


def few(responses: Bank) -> tuple:
    return responses.responses[:4], responses.lateral_deg[:4]


def weights(state: object) -> list[torch.Tensor]:
    return [t.clone() for t in state.mean.state_dict().values()]  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", ["general", "spatial"])
def test_a_stopped_run_ends_in_the_same_weights(kind: str, world, tmp_path: Path) -> None:
    recipe = Recipe(kind, steps=4, batch=2, warm_up=1)
    straight = train(start(recipe), recipe, *world)
    half = train(start(recipe), recipe, *world, until=2)
    save(half, recipe, tmp_path / "state.pt")
    resumed = train(resume(recipe, tmp_path / "state.pt"), recipe, *world)
    assert straight.step == resumed.step == 4
    assert all(torch.equal(a, b) for a, b in zip(weights(straight), weights(resumed), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(weights(start(recipe)), weights(straight), strict=True))
    with pytest.raises(StoreError, match="another recipe"):
        resume(Recipe(kind, steps=5, batch=2, warm_up=1), tmp_path / "state.pt")


def test_the_loss_falls_on_one_repeated_batch(world) -> None:
    recipe = Recipe("spatial", steps=30, batch=4, warm_up=1)
    state, losses = start(recipe), []
    x, lateral = batch(*world, recipe.seed, 0, recipe.batch)
    for _ in range(recipe.steps):
        loss = state.objective.loss(state.network, torch.from_numpy(x), lateral, 0)
        state.optimiser.zero_grad()
        loss.backward()
        state.optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0] - 0.5


def test_scenes_are_a_function_of_seed_and_step(world) -> None:
    x, lateral = batch(*world, 1, 7, 6)
    again, _ = batch(*world, 1, 7, 6)
    other, _ = batch(*world, 1, 8, 6)
    assert x.shape == (6, 2, N)
    assert np.array_equal(x, again)
    assert not np.allclose(x, other)
    assert np.isfinite(x).all()
    assert set(np.round(lateral, 6)) <= set(np.round(world[1].lateral_deg, 6))


def test_the_target_is_the_angle_of_the_louder_ear() -> None:
    """Independent of the formula: a source on the left is louder at the left ear, by ever more to the side."""
    responses = bank(held=True, azimuths=12)
    level = np.array([10.0 * math.log10(np.sum(r[0] ** 2) / np.sum(r[1] ** 2)) for r in responses.responses])
    sides = np.abs(responses.lateral_deg) > 20
    assert np.array_equal(np.sign(level[sides]), np.sign(responses.lateral_deg[sides]))


def test_what_is_held_out_is_never_trained_on() -> None:
    trained, held = (sources(None, held=h, generated_per_label=1) for h in (False, True))
    assert trained.used
    assert held.used
    assert not {c.sha256 for c in trained.used} & {c.sha256 for c in held.used}
    assert not any(held_out(c) for c in trained.used)
    assert not set(rooms(held=True)) & set(rooms(held=False))
    assert len(rooms(held=True)) == 4


def test_the_rate_rises_then_falls_to_zero() -> None:
    recipe = Recipe("general", steps=100, warm_up=10)
    rates = [learning_rate(recipe.rate, recipe.warm_up, recipe.steps, s) for s in range(100)]
    assert rates.index(max(rates)) == 9
    assert rates[0] == pytest.approx(1e-4)
    assert rates[-1] < 1e-5
