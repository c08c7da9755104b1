"""Frame-level head: which classes are active at each frame; binary cross-entropy per frame and class.

Idea: does the sequence say *when*, not only what? The head sees one frame at a time, so context must be the encoder's.
Source: X-ARES v0.1.3 (arXiv 2505.16369), the head of DESED and MAESTRO, read as code: LayerNorm(D), Linear(D, C);
fact sheet, section 4.4. ``hidden`` puts one hidden layer in (ours).
``padding="counted"`` is what that code does: sounds of a training batch are filled up with zero frames, whose targets
are nothing, and these count in the loss. ``padding="masked"`` leaves them out.
Shapes: frames ``[T, D]`` a sound, targets ``[T, C]`` of 0 and 1 -> logits ``[T, C]`` a sound.
Errors: :class:`InputError` on nothing to train on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from otoscope.core.errors import UsageError
from otoscope.readouts.gradient import Recipe, train
from otoscope.readouts.probe import Floats
from otoscope.readouts.ragged import Ragged

Targets = Sequence[NDArray[np.float32]]
#: Of logits ``[T, C]`` a sound: higher is better. What is right is the caller's.
FrameMetric = Callable[[list[Floats]], float]


@dataclass(frozen=True)
class FittedFrames:
    """``chosen``: which epoch, in words."""

    net: nn.Module
    padding: str
    batch: int
    chosen: str

    @torch.inference_mode()
    def scores(self, x: Ragged) -> list[Floats]:
        """Logits of each sound. Where padding counts, a sound is as long as the longest of its batch, which is taken in
        the order of ``x``."""
        found: list[Floats] = []
        for start in range(0, len(x), self.batch):
            part = x[np.arange(start, min(start + self.batch, len(x)))]
            frames, real = part.padded()
            logits = self.net(torch.from_numpy(frames)).numpy()
            found += list(logits) if self.padding == "counted" else [z[r] for z, r in zip(logits, real, strict=True)]
        return found


@dataclass(frozen=True)
class FrameHead:
    """``hidden`` None: linear. ``pos_weight``: how much a positive weighs (MAESTRO: 10)."""

    version: ClassVar[int] = 1
    seeded: ClassVar[bool] = True
    chooses: ClassVar[bool] = True

    recipe: Recipe = field(default_factory=Recipe)
    hidden: int | None = None
    dropout: float = 0.2
    pos_weight: float | None = None
    padding: Literal["masked", "counted"] = "masked"

    def __post_init__(self) -> None:
        if self.padding not in ("masked", "counted") or (self.hidden is not None and self.hidden < 1):
            raise UsageError(f"there is no frame head with padding={self.padding}, hidden={self.hidden}")

    def fit(
        self,
        x: Ragged,
        y: Targets,
        valid: tuple[Ragged, FrameMetric] | None,
        seed: int,
        shards: Sequence[int] | None = None,
    ) -> FittedFrames:
        """Learn from ``x`` and ``y``; the epoch is chosen by the metric of ``valid`` (None: the last one)."""
        weight = None if self.pos_weight is None else torch.tensor(self.pos_weight)
        masked = self.padding == "masked"

        def take(rows: NDArray[np.intp]) -> tuple[Any, Any]:
            frames, real = x[rows].padded()
            targets = np.zeros((*real.shape, y[0].shape[1]), dtype=np.float32)
            for k, i in enumerate(rows.tolist()):
                targets[k, : len(y[i])] = y[i][: real.shape[1]]
            return torch.from_numpy(frames), (torch.from_numpy(targets), torch.from_numpy(real))

        def loss(net: nn.Module, frames: Any, truth: Any) -> torch.Tensor:
            targets, real = truth
            z = net(frames)
            if masked:
                z, targets = z[real], targets[real]
            return functional.binary_cross_entropy_with_logits(z, targets, pos_weight=weight)

        check = None
        if valid is not None and len(valid[0]):
            held, metric = valid

            def check(net: nn.Module) -> float:
                return metric(FittedFrames(net, self.padding, self.recipe.batch, "").scores(held))

        trained = train(
            lambda: self._net(x.dim, y[0].shape[1]), len(x), take, loss, self.recipe, seed=seed, shards=shards,
            validate=check,
        )  # fmt: skip
        chosen = f"epoch {trained.epoch + 1} of {self.recipe.epochs}" if trained.history else ""
        return FittedFrames(trained.net, self.padding, self.recipe.batch, chosen)

    def _net(self, dim: int, n_classes: int) -> nn.Module:
        if self.hidden is None:
            return nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, n_classes))
        return nn.Sequential(
            nn.LayerNorm(dim),
            nn.Linear(dim, self.hidden),
            nn.ReLU(),
            nn.Dropout(self.dropout),
            nn.Linear(self.hidden, n_classes),
        )
