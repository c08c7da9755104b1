"""What the two tiny binaural encoders are trained to do, and how well they do it on what was held out.

``general``: masked prediction. Patches are hidden (whole moments and single patches), and a linear map of the output
must give their levels back: the objective of GRAM-T and of masked autoencoders, without a decoder. ``spatial``: the
lateral angle of the source, as a soft class of the time-averaged output. Sizes, masks and targets are ours.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from otoscope.models.bundled.binaural_network import MELS, PATCH, PLANES, WIDTH, TinyBinaural
from otoscope.training.binaural.scenes import CLASS_DEG, CLASSES

#: Share of moments that are hidden whole, and of the remaining patches that are hidden singly.
MOMENTS, SINGLES = 0.3, 0.35
#: Width of the soft target in degrees.
SPREAD_DEG = 8.0


class Objective(Protocol):
    """A loss over scenes ``[B, 2, n]`` with lateral angles ``[B]``, and figures that say how well it is met."""

    head: nn.Module

    def loss(self, network: TinyBinaural, x: torch.Tensor, lateral: NDArray[np.float64], seed: int) -> torch.Tensor: ...

    def figures(self, network: TinyBinaural, x: torch.Tensor, lateral: NDArray[np.float64]) -> dict[str, float]: ...


class Masked:
    """Mean squared error over the hidden patches of the levels, whose deviation over a scene is 1."""

    def __init__(self) -> None:
        self.head: nn.Module = nn.Linear(WIDTH, 2 * PATCH[0] * PATCH[1])

    def loss(self, network: TinyBinaural, x: torch.Tensor, lateral: Any, seed: int) -> torch.Tensor:
        guess, truth, hidden = self._predict(network, x, seed)
        return (guess - truth).square().mean(dim=-1)[hidden].mean()

    def figures(self, network: TinyBinaural, x: torch.Tensor, lateral: Any) -> dict[str, float]:
        """``masked_error``: of the hidden patches; ``mean_error``: of guessing the scene's mean per ear and band."""
        guess, truth, hidden = self._predict(network, x, 0)
        rows = truth.unflatten(-1, (2, *PATCH))
        mean = rows.mean(dim=(2, 5), keepdim=True).expand_as(rows).flatten(3)
        return {
            "masked_error": float((guess - truth).square().mean(dim=-1)[hidden].mean()),
            "mean_error": float((mean - truth).square().mean(dim=-1)[hidden].mean()),
        }

    def _predict(self, network: TinyBinaural, x: torch.Tensor, seed: int) -> tuple[torch.Tensor, ...]:
        planes = network.planes(x)
        levels = planes[:, : PLANES["general"]]
        patches = levels.unflatten(2, (MELS // PATCH[0], PATCH[0])).unflatten(4, (-1, PATCH[1]))
        truth = patches.permute(0, 2, 4, 1, 3, 5).flatten(3)  # [B, bands, T, ears * PATCH]
        batch, bands, steps, _ = truth.shape
        draw = torch.Generator().manual_seed(seed)
        moments = torch.rand(batch, 1, steps, generator=draw) < MOMENTS
        hidden = moments | (torch.rand(batch, bands, steps, generator=draw) < SINGLES)
        out = network.states(planes, hidden)["last"].unflatten(2, (bands, WIDTH)).transpose(1, 2)
        return self.head(out), truth, hidden


class Direction:
    """Cross-entropy against a Gaussian over the classes around the lateral angle."""

    def __init__(self) -> None:
        self.head: nn.Module = nn.Linear((MELS // PATCH[0]) * WIDTH, CLASSES)
        self.centres = CLASS_DEG * np.arange(CLASSES) - 90.0

    def loss(self, network: TinyBinaural, x: torch.Tensor, lateral: NDArray[np.float64], seed: int) -> torch.Tensor:
        away = (lateral[:, None] - self.centres) / SPREAD_DEG
        soft = np.exp(-0.5 * away**2)
        target = torch.from_numpy(soft / soft.sum(axis=1, keepdims=True)).float()
        return nn.functional.cross_entropy(self.logits(network, x), target)

    def logits(self, network: TinyBinaural, x: torch.Tensor) -> torch.Tensor:
        return self.head(network(x)["last"].mean(dim=1))

    def figures(self, network: TinyBinaural, x: torch.Tensor, lateral: NDArray[np.float64]) -> dict[str, float]:
        """``median_error_deg`` of the most likely class, and of always answering the middle; ``within_15_deg``."""
        said = self.centres[self.logits(network, x).argmax(dim=1).numpy()]
        off = np.abs(said - lateral)
        return {
            "median_error_deg": float(np.median(off)),
            "median_error_of_straight_ahead_deg": float(np.median(np.abs(lateral))),
            "within_15_deg": float(np.mean(off <= 15.0)),
        }


OBJECTIVES: dict[str, type[Masked] | type[Direction]] = {"general": Masked, "spatial": Direction}
