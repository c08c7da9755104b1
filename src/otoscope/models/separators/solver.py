"""Fixed-step solvers of the flow from noise (t = 0) to latents (t = 1).

Euler evaluates the velocity once per step, midpoint twice (at the step's start, then at its middle). The time grid goes
through the network's probe point ``schedule``, so that an intervention can respace or truncate it. Around every
evaluation the clock says which step and stage of which solve it is; flow time is the network's own argument.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import torch
from torch import Tensor

from otoscope.core import clock
from otoscope.core.errors import UsageError
from otoscope.models.separators.sampling import Solver

_SOLVES = itertools.count()


def uniform_grid(steps: int, device: torch.device | str = "cpu") -> Tensor:
    """``steps + 1`` times from 0 to 1, float32."""
    return torch.linspace(0, 1, steps + 1, dtype=torch.float32, device=device)


def solve(velocity: Callable[[Tensor, Tensor], Tensor], start: Tensor, grid: Tensor, solver: Solver) -> Tensor:
    """The state at the end of ``grid`` (rising times), from ``start`` at its beginning. ``velocity(state, time)`` with
    a scalar time. Raises :class:`UsageError` on a grid that does not rise within [0, 1]."""
    if grid.ndim != 1 or len(grid) < 2 or bool((grid.diff() <= 0).any()) or grid[0] < 0 or grid[-1] > 1:
        raise UsageError(f"the schedule is no rising grid within [0, 1]: {grid.tolist()}", fix="Mend what changed it.")
    n_steps, number, state = len(grid) - 1, next(_SOLVES), start
    for step in range(n_steps):
        time, h = grid[step], grid[step + 1] - grid[step]

        def evaluate(at: Tensor, time: Tensor, stage: int, step: int = step) -> Tensor:
            with clock.at(step=step, n_steps=n_steps, stage=stage, solve=number):
                return velocity(at, time)

        slope = evaluate(state, time, 0)
        if solver == "midpoint":
            slope = evaluate(state + h / 2 * slope, time + h / 2, 1)
        state = state + h * slope
    return state
