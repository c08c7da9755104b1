"""The training loop of the tiny separator: flow matching with clean-latent prediction, averaged weights, exact resume.

Rectified flow: ``x_t = (1 - t) noise + t latents``; the network predicts the latents, and the squared error is divided
by ``max(1 - t, 0.5) ** 2``, which is what a velocity's error would be worth, bounded near the end. Step ``k`` depends
on (seed, k) alone.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from otoscope.core.errors import StoreError
from otoscope.models.bundled.mdct import Mdct
from otoscope.models.bundled.separator_network import BANDS, CONFIG, HOP, TinyNetwork, vocabulary
from otoscope.models.devices import seeded
from otoscope.models.separators.dit import NULL, WANTED
from otoscope.training.schedule import average_into, learning_rate
from otoscope.training.separation.mixtures import Batch, Draws, Pool, batch

#: Bounds the weight of errors near the end of the flow.
NEAREST = 0.5
#: Errors of the sound this far below the mixture (as powers) are good enough.
WAVE_FLOOR = 1e-3


@dataclass(frozen=True)
class Recipe:
    """Everything that the weights depend on besides the sounds."""

    seed: int = 1
    steps: int = 36000
    batch: int = 16
    seconds: float = 2.0
    rate: float = 1e-3
    warm_up: int = 100
    decay: float = 0.01
    average: float = 0.999
    shift: float = 16.0
    fine: float = 0.25
    wave: float = 0.0
    recorded: float = 0.65
    speed: float = 0.1
    colour_db: float = 0.0
    dim: int = CONFIG.dim
    heads: int = CONFIG.heads
    layers: int = CONFIG.layers
    hop: int = HOP
    bands: int = BANDS

    @property
    def draws(self) -> Draws:
        """How mixtures are drawn."""
        return Draws(self.recorded, self.speed, self.colour_db)

    def network(self, words: tuple[str, ...]) -> TinyNetwork:
        """Fresh weights of this recipe's sizes."""
        config = replace(CONFIG, dim=self.dim, heads=self.heads, layers=self.layers)
        return TinyNetwork(words, replace(config, latent=self.bands + self.hop), self.hop)


@dataclass
class State:
    """A run at one moment. ``mean`` is the network with averaged weights, which is what ships."""

    network: TinyNetwork
    mean: TinyNetwork
    optimiser: torch.optim.Optimizer
    step: int = 0


def start(recipe: Recipe, found: Pool) -> State:
    """Fresh weights under the recipe's seed, and the codec's scale from the first hundred mixtures."""
    words = vocabulary(found.texts())
    with seeded(recipe.seed):
        network = recipe.network(words)
        for name, weight in network.flow.transformer.layers.named_parameters():
            if name.endswith(("wo.weight", "w2.weight")):  # residual branches start small, as in deep transformers
                weight.data /= (2 * recipe.layers) ** 0.5
    calm(network, batch(found, recipe.seed, -1 % 2**32, 100, recipe.seconds))
    mean = recipe.network(words)
    mean.load_state_dict(network.state_dict())
    groups = [p for p in network.parameters() if p.requires_grad]
    return State(network, mean, torch.optim.AdamW(groups, lr=recipe.rate, betas=(0.9, 0.95), weight_decay=recipe.decay))


def onward(state: State, path: Path) -> State:
    """``state`` with the averaged weights of the finished run in ``path``, and its codec's scale."""
    weights = torch.load(path, weights_only=True)["mean"]
    state.network.load_state_dict(weights)
    state.mean.load_state_dict(weights)
    return state


def calm(network: TinyNetwork, sample: Batch) -> None:
    """Shift and scale every channel of the codec so that stems have no mean and unit variance."""
    codec = network.codec
    codec.shift.zero_()
    codec.scale.fill_(1.0)
    x = codec.encode(torch.from_numpy(np.concatenate([sample.target, sample.residual])))
    codec.shift[: codec.bands] = x.mean(dim=(0, 1))[: codec.bands]
    codec.scale.copy_(x.std(dim=(0, 1)).clamp_min(1e-4))


def loss(network: TinyNetwork, made: Batch, seed: int, shift: float, fine: float, wave: float = 0.0) -> Tensor:
    """Weighted error of the predicted latents, one flow time per mixture, ``shift`` times as far from the end as from
    the start on the median: a state of so many channels shows early on which stem is which, and the prompt is needed
    before that alone. Latents are compressed, so that their error says little of the loud parts; ``wave`` weighs that
    of the decoded sound (:func:`wave_error`)."""
    codec, flow = network.codec, network.flow
    mixture, target, residual = (codec.encode(torch.from_numpy(x)) for x in (made.mixture, made.target, made.residual))
    clean, twice = torch.cat([target, residual], -1), torch.cat([mixture, mixture], -1)
    draw = torch.Generator().manual_seed(seed)
    # Stratified times: every batch covers the flow evenly.
    even = (torch.arange(len(clean)) + torch.rand(len(clean), generator=draw)) / len(clean)
    t = even / (even + shift * (1 - even))
    noise = torch.randn(clean.shape, generator=draw)
    left = (1 - t)[:, None, None]
    state = left * noise + (1 - left) * clean
    text, mask = encode_texts(network, made.texts)
    with torch.autocast("cpu", torch.bfloat16):
        velocity = flow(state, t, twice, text, mask, anchors_of(made, codec.hop, clean.shape[1]))
    predicted = state + left.clamp_min(1e-3) * velocity.float()
    weight = torch.full((codec.latent,), fine)
    weight[: codec.bands] = 1.0
    error = ((predicted - clean).square() * weight.repeat(2)).sum(-1).mean(-1) / (2 * weight.sum())
    found = (error / left[:, 0, 0].clamp_min(NEAREST) ** 2).mean()
    return found + wave * wave_error(codec, predicted, made).mean() if wave else found


def wave_error(codec: Mdct, latents: Tensor, made: Batch) -> Tensor:
    """``[B]``: the logarithm to base 10 of the error's power over the mixture's, of stems that were made to sum to the
    mixture as the sampler makes them, so that both have the same error."""
    target, residual = (codec.decode(x) for x in latents.chunk(2, dim=-1))
    mixture, truth = (torch.from_numpy(x) for x in (made.mixture, made.target))
    target, residual = (x[:, : mixture.shape[-1]] for x in (target, residual))
    error = target + (mixture - target - residual) / 2 - truth
    return (error.square().sum(-1) / mixture.square().sum(-1).clamp_min(1e-9) + WAVE_FLOOR).log10()


def encode_texts(network: TinyNetwork, texts: Any) -> tuple[Tensor, Tensor]:
    """Text memory of a batch in which some have none: those see their first token as zeros."""
    vectors, mask = network.words.encode([text or network.words.vocabulary[0] for text in texts])
    silent = torch.tensor([not text for text in texts])
    return vectors.masked_fill(silent[:, None, None], 0.0), mask


def anchors_of(made: Batch, hop: int, frames: int) -> Tensor:
    """Anchors ``[B, T]`` of the spans: frames from the ceiling of the start to that of the end."""
    anchors = torch.full((len(made.spans), frames), NULL)
    for row, spans in zip(anchors, made.spans, strict=True):
        for begin, end, _ in spans:
            row[-(-begin // hop) : -(-end // hop)] = WANTED
    return anchors


def train(
    state: State, recipe: Recipe, found: Pool, *, until: int | None = None, after: Callable[[State, float], None]
) -> State:
    """Steps up to ``until`` (the recipe's end); ``after(state, loss)`` is called after each."""
    for step in range(state.step, recipe.steps if until is None else until):
        made = batch(found, recipe.seed, step, recipe.batch, recipe.seconds, recipe.draws)
        for group in state.optimiser.param_groups:
            group["lr"] = learning_rate(recipe.rate, recipe.warm_up, recipe.steps, step)
        value = loss(state.network, made, 1_000_003 * recipe.seed + step, recipe.shift, recipe.fine, recipe.wave)
        state.optimiser.zero_grad()
        value.backward()
        torch.nn.utils.clip_grad_norm_(state.network.parameters(), 1.0, error_if_nonfinite=True)
        state.optimiser.step()
        state.step = step + 1
        average_into(state.mean, state.network, recipe.average, step)
        after(state, float(value.detach()))
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
            "optimiser": state.optimiser.state_dict(),
        },
        part,
    )
    os.replace(part, path)


def resume(recipe: Recipe, found: Pool, path: Path) -> State:
    """The run in ``path``. Raises :class:`StoreError` where it is another recipe's."""
    saved: dict[str, Any] = torch.load(path, weights_only=True)
    if saved["recipe"] != asdict(recipe):
        raise StoreError("is a run of another recipe", where=str(path), fix="Name another folder, or remove the file.")
    state = start(recipe, found)
    state.network.load_state_dict(saved["network"])
    state.mean.load_state_dict(saved["mean"])
    state.optimiser.load_state_dict(saved["optimiser"])
    state.step = saved["step"]
    return state
