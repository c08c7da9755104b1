"""Solvers against what is known of them in closed form."""

from __future__ import annotations

import pytest
import torch

from otoscope.core import clock
from otoscope.core.errors import UsageError
from otoscope.models.separators.solver import solve, uniform_grid


@pytest.mark.parametrize(("solver", "stages"), [("euler", 1), ("midpoint", 2)])
@pytest.mark.parametrize("steps", [1, 3, 16])
def test_evaluations_and_their_times(solver: str, stages: int, steps: int) -> None:
    seen = []

    def velocity(state: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        now = clock.now()
        seen.append((float(time), now.step, now.stage, now.n_steps, now.solve))
        return torch.ones_like(state)

    end = solve(velocity, torch.zeros(1), uniform_grid(steps), solver)
    assert float(end) == pytest.approx(1.0)
    assert [t for t, *_ in seen] == pytest.approx([i / (steps * stages) for i in range(steps * stages)], abs=1e-6)
    assert [(step, stage) for _, step, stage, *_ in seen] == [(s, g) for s in range(steps) for g in range(stages)]
    assert {n for *_, n, _ in seen} == {steps}
    assert len({number for *_, number in seen}) == 1
    first = seen[0][-1]
    solve(velocity, torch.zeros(1), uniform_grid(1), solver)
    assert seen[-1][-1] > first  # another solve
    assert clock.now() == clock.Tick()


def test_known_equations() -> None:
    # x' = x: each Euler step multiplies by 1 + h, each midpoint step by 1 + h + h^2 / 2.
    one, grid, h = torch.ones(1, dtype=torch.float64), uniform_grid(8).double(), 1 / 8
    assert float(solve(lambda x, t: x, one, grid, "euler")) == pytest.approx((1 + h) ** 8, rel=1e-12)
    assert float(solve(lambda x, t: x, one, grid, "midpoint")) == pytest.approx((1 + h + h * h / 2) ** 8, rel=1e-12)
    # x' = 2 t: midpoint is exact on any grid, Euler misses by the sum of h^2.
    uneven = torch.tensor([0.0, 0.1, 0.4, 1.0], dtype=torch.float64)
    ramp = lambda x, t: 2 * t.double() + 0 * x  # noqa: E731
    assert float(solve(ramp, 0 * one, uneven, "midpoint")) == pytest.approx(1.0, rel=1e-12)
    assert float(solve(ramp, 0 * one, uneven, "euler")) == pytest.approx(1 - (0.01 + 0.09 + 0.36), rel=1e-12)


def test_a_straight_flow_needs_one_step() -> None:
    start, end = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(solve(lambda x, t: end - start, start, uniform_grid(1), "euler"), end)


@pytest.mark.parametrize("grid", [[0.0], [0.0, 0.0], [0.5, 0.2], [-0.1, 1.0], [0.0, 1.1]])
def test_grids_that_are_none(grid: list[float]) -> None:
    with pytest.raises(UsageError, match="no rising grid"):
        solve(lambda x, t: x, torch.zeros(1), torch.tensor(grid), "euler")
