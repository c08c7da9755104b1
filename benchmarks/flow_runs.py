"""Separation networks of the published sizes with random weights, driven as a solver drives them.

There is neither codec nor text encoder: they run once per sound, outside the solve, and no method here touches them.
Values do not matter to the cost, so noise stands for the mixture's latents and for the text.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from otoscope.core import clock
from otoscope.core.costs import EvaluationCost
from otoscope.core.sites import SiteMap
from otoscope.models.devices import torch_dtype
from otoscope.models.separators.cost import evaluation_cost
from otoscope.models.separators.dacvae import CodecConfig
from otoscope.models.separators.dit import DiTConfig, FlowNetwork
from otoscope.models.separators.sites import site_map
from otoscope.models.separators.solver import solve, uniform_grid

#: Tokens of a prompt of a few words.
TOKENS = 8
_SOLVES = itertools.count(-1, -1)  # the solver's own numbers rise from 0


@dataclass(frozen=True)
class Took:
    """Wall and processor seconds."""

    wall: float = 0.0
    cpu: float = 0.0

    def __add__(self, other: Took) -> Took:
        return Took(self.wall + other.wall, self.cpu + other.cpu)

    def times(self, n: float) -> Took:
        return Took(n * self.wall, n * self.cpu)


class Watch:
    """Measures from one call of :meth:`start` to that of :meth:`stop`, when the device is idle again."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.began = Took()

    def start(self) -> None:
        self.began = self._now()

    def stop(self) -> Took:
        return self._now() + self.began.times(-1)

    def took(self, call: Callable[[], object]) -> Took:
        self.start()
        call()
        return self.stop()

    def _now(self) -> Took:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return Took(time.perf_counter(), time.process_time())


def frames_of(seconds: float) -> int:
    """Latent frames of so much sound."""
    return round(seconds * CodecConfig().rate / CodecConfig().hop)


class FlowRun:
    """One sound of so many ``frames`` in one network. Sited and costed, so that interventions act in it."""

    def __init__(self, config: DiTConfig, frames: int, steps: int, device: torch.device, dtype: str) -> None:
        self.config, self.frames, self.steps = config, frames, steps
        self.device, self.dtype = device, torch_dtype(dtype)
        torch.manual_seed(0)
        with device:
            self._network = FlowNetwork(self.config).eval().requires_grad_(False).to(self.dtype)
            latents = torch.randn(1, self.frames, self.config.latent, dtype=self.dtype)
            self.noise = torch.randn(1, self.frames, self.config.channels)
            self.given = {
                "mixture": torch.cat([latents, latents], -1),
                "text": torch.randn(1, TOKENS, self.config.text_dim, dtype=self.dtype),
                "text_mask": torch.ones(1, TOKENS, dtype=torch.bool),
            }

    @property
    def network(self) -> FlowNetwork:
        return self._network

    @property
    def sites(self) -> SiteMap:
        return site_map(self.config)

    def cost(self, frames: int, tokens: int) -> EvaluationCost:
        return evaluation_cost(self.config, frames, tokens)

    def velocity(self, state: Tensor, time: Tensor) -> Tensor:
        return self._network(state=state.to(self.dtype), time=time, **self.given).float()

    def grid(self) -> Tensor:
        return self._network.schedule(uniform_grid(self.steps, self.device))

    def solve(self) -> Tensor:
        """A whole solve by Euler's method."""
        return solve(self.velocity, self.noise, self.grid(), "euler")

    def evaluations(self) -> Callable[[int], Tensor]:
        """A solve of which only some steps are evaluated, rising ones: ``evaluate(step)``."""
        grid, number = self.grid(), next(_SOLVES)

        def evaluate(step: int) -> Tensor:
            with clock.at(step=step, n_steps=len(grid) - 1, stage=0, solve=number):
                return self.velocity(self.noise, grid[step])

        return evaluate
