"""A separator made of parts: a codec, a flow network over its latents, and, for prompts in words, a text encoder.

From noise, the network's flow is followed to the latents of target and residual, given the mixture's latents and the
prompt (arXiv 2512.18099). Each mixture goes alone, because padding would change it. Text and mixture are encoded once,
outside the solver; each evaluation of the flow is one call of the network. Noise is float32 from a CPU generator, one
draw over the whole sound, so that the start depends neither on the device nor on how a long sound is cut.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from otoscope.core.audio import Audio
from otoscope.core.costs import EvaluationCost
from otoscope.core.errors import InputError, ModelError, UsageError
from otoscope.core.nouns import Card, StemPrompt, Stems
from otoscope.core.sites import SiteMap
from otoscope.models import devices
from otoscope.models.separators.anchors import anchors_of
from otoscope.models.separators.chunks import join, plan
from otoscope.models.separators.cost import evaluation_cost
from otoscope.models.separators.dit import FlowNetwork
from otoscope.models.separators.sampling import Sampling
from otoscope.models.separators.sites import site_map
from otoscope.models.separators.solver import solve, uniform_grid
from otoscope.models.shown import ShownModel

__all__ = ["Closeness", "Codec", "FlowSeparator", "Ranker", "Sampling", "Words"]


class Codec(Protocol):
    """Waveforms to latents and back, deterministic. ``hop`` samples at ``rate`` Hz make one frame of ``latent``
    channels. A module is moved to the device of the network and stays float32."""

    rate: int
    hop: int
    latent: int

    def encode(self, x: Tensor) -> Tensor:
        """``[B, n] -> [B, T, latent]`` with ``T = ceil(n / hop)``."""
        ...

    def decode(self, latents: Tensor) -> Tensor:
        """``[B, T, latent] -> [B, T * hop]``."""
        ...


class Words(Protocol):
    """A text encoder."""

    def encode(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Tokens ``[B, S, text_dim]`` and the mask ``[B, S]`` of real ones (bool)."""
        ...


class Ranker(Protocol):
    """Chooses among candidates."""

    def identity(self) -> Mapping[str, Any]: ...

    def __call__(self, mixture: Tensor, stems: Tensor) -> float:
        """The score of a candidate's ``stems [2, n]`` (target, residual) of ``mixture [n]``; the highest wins."""
        ...


class Closeness:
    """The candidate whose stems sum to the mixture best, by squared error (ours; the published rankers are models)."""

    def identity(self) -> Mapping[str, Any]:
        return {"closeness": 1}

    def __call__(self, mixture: Tensor, stems: Tensor) -> float:
        return -float((stems.sum(0) - mixture).square().mean())


@dataclass(frozen=True)
class _Prompt:
    """A prompt, encoded: what every evaluation is given."""

    text: Tensor | None
    text_mask: Tensor | None
    anchors: Tensor | None  # [T] of the whole sound


class FlowSeparator(ShownModel):
    """Separator and Sited over parts that are in memory. ``identity`` says which parts they are; the sampling (and the
    ranker, where there are candidates) is added. ``words`` None: prompts in words are a :class:`ModelError`."""

    def __init__(
        self,
        card: Card,
        network: FlowNetwork,
        codec: Codec,
        words: Words | None,
        sampling: Sampling,
        identity: Mapping[str, Any],
        device: str = "cpu",
        ranker: Ranker | None = None,
    ) -> None:
        if card.rate != codec.rate or network.config.latent != codec.latent:
            raise ModelError(
                f"the codec has {codec.rate} Hz and {codec.latent} channels, the card {card.rate} Hz and the network "
                f"{network.config.latent}",
                where=card.name,
            )
        self.card, self.sampling, self.device = card, sampling, device
        self._network, self._codec, self._words = network, codec, words
        self._identity, self._ranker = dict(identity), ranker or Closeness()
        self._loaded = False

    def identity(self) -> Mapping[str, Any]:
        own = {**self._identity, "sampling": asdict(self.sampling)}
        return own | ({"ranker": dict(self._ranker.identity())} if self.sampling.candidates > 1 else {})

    @property
    def ready(self) -> bool:
        return self._loaded

    def load(self) -> None:
        if self._loaded:
            return
        device = devices.pick(self.device)
        self._network.eval().to(device, devices.torch_dtype(self.sampling.dtype))
        for part in (self._codec, self._words):
            if isinstance(part, torch.nn.Module):
                part.eval().to(device)
        self._loaded = True

    @property
    def network(self) -> FlowNetwork:
        self.load()
        return self._network

    @property
    def sites(self) -> SiteMap:
        return site_map(self._network.config)

    def cost(self, frames: int, tokens: int) -> EvaluationCost:
        """Operations of one evaluation."""
        return evaluation_cost(self._network.config, frames, tokens)

    def encode_text(self, prompt: str) -> tuple[Tensor | None, Tensor | None]:
        """Tokens ``[1, S, text_dim]`` of a prompt and their mask, as the network is given them; None of no text. Raises
        :class:`ModelError` where there is no text encoder."""
        if not prompt:
            return None, None
        if self._words is None:
            raise ModelError("has no text encoder", where=self.card.name, fix="Prompt it with spans, or not at all.")
        self.load()
        text, mask = self._words.encode([prompt])
        device = devices.pick(self.device)
        return text.to(device, devices.torch_dtype(self.sampling.dtype)), mask.to(device)

    def separate(
        self, mixtures: Sequence[Audio], prompts: Sequence[StemPrompt], noise_seeds: Sequence[int]
    ) -> list[Stems]:
        """Stems of each mixture, exactly as long as it, with the final latents ``[T, 2 C]``. Equal arguments give
        equal samples on one machine. Raises :class:`InputError` on a rate, channel count or span that does not fit."""
        if not len(mixtures) == len(prompts) == len(noise_seeds):
            raise UsageError(
                f"{len(mixtures)} mixtures, {len(prompts)} prompts and {len(noise_seeds)} noise seeds",
                where=self.card.name,
                fix="Give one of each per mixture.",
            )
        for i, mixture in enumerate(mixtures):
            _check(mixture, self.card, i)
        self.load()
        with torch.no_grad():
            return [self._one(*each) for each in zip(mixtures, prompts, noise_seeds, strict=True)]

    def _one(self, mixture: Audio, prompt: StemPrompt, seed: int) -> Stems:
        sound = torch.from_numpy(mixture.samples[0].copy()).to(devices.pick(self.device))
        frames = math.ceil(mixture.n / self._codec.hop)
        told = self._encoded(prompt, frames)
        length, overlap = self._in_frames()
        places = plan(frames, length, overlap)
        heard = [self._heard(sound, place) for place in places]
        generator = torch.Generator("cpu").manual_seed(int(seed))
        best: tuple[float, Tensor, Tensor] | None = None
        evaluations = 0
        for _ in range(self.sampling.candidates):
            noise = torch.randn(frames, 2 * self._codec.latent, generator=generator).to(sound.device)
            noise *= self.sampling.temperature
            states, stems = [], []
            for place, latents in zip(places, heard, strict=True):
                state, calls = self._follow(noise[place.start : place.stop], latents, told, place)
                evaluations += calls
                states.append(state)
                stems.append(self._codec.decode(torch.stack(state.chunk(2, dim=-1))).float().mT)
            both = join(stems, places, overlap, self._codec.hop).mT[:, : mixture.n]
            if self.sampling.consistent:
                both = both + (sound - both.sum(0)) / 2
            score = self._ranker(sound, both) if self.sampling.candidates > 1 else 0.0
            if best is None or score > best[0]:
                best = score, both, join(states, places, overlap)
        assert best is not None
        return self._stems(best[1], best[2], evaluations)

    def _encoded(self, prompt: StemPrompt, frames: int) -> _Prompt:
        network, device = self._network, devices.pick(self.device)
        anchors = None
        if prompt.spans:
            if network.config.anchor_dim is None:
                raise InputError("takes no spans", where=self.card.name, fix="Prompt it in words.")
            anchors = anchors_of(prompt.spans, frames, self._codec.rate / self._codec.hop).to(device)
        return _Prompt(*self.encode_text(prompt.text), anchors)

    def _in_frames(self) -> tuple[int | None, int]:
        """Length and overlap of chunks."""
        if self.sampling.chunk_s is None:
            return None, 0
        rate = self._codec.rate / self._codec.hop
        length, overlap = round(self.sampling.chunk_s * rate), round(self.sampling.overlap_s * rate)
        if length < 2 or overlap > length // 2:
            raise UsageError(
                f"chunk_s={self.sampling.chunk_s:g} is shorter than two frames of {1 / rate:g} s",
                where=self.card.name,
                fix="Make it longer.",
            )
        return length, overlap

    def _heard(self, sound: Tensor, place: range) -> Tensor:
        """The latents of a piece of the mixture, twice side by side: ``[1, T, 2 C]``."""
        hop = self._codec.hop
        latents = self._codec.encode(sound[None, place.start * hop : place.stop * hop])
        if latents.shape != (1, len(place), self._codec.latent):
            raise ModelError(f"the codec gave latents {tuple(latents.shape)} for {len(place)} frames")
        return torch.cat([latents, latents], dim=-1)

    def _follow(self, noise: Tensor, mixture: Tensor, told: _Prompt, place: range) -> tuple[Tensor, int]:
        """The final state ``[T, 2 C]`` from ``noise``, and how often the network was called."""
        dtype, calls = devices.torch_dtype(self.sampling.dtype), 0
        anchors = None if told.anchors is None else told.anchors[None, place.start : place.stop]
        given = {"mixture": mixture.to(dtype), "text": told.text, "text_mask": told.text_mask, "anchors": anchors}

        def velocity(state: Tensor, time: Tensor) -> Tensor:
            nonlocal calls
            calls += 1
            return self._network(state=state.to(dtype), time=time, **given).float()

        grid = self._network.schedule(uniform_grid(self.sampling.steps, noise.device))
        return solve(velocity, noise[None], grid, self.sampling.solver)[0], calls

    def _stems(self, both: Tensor, state: Tensor, evaluations: int) -> Stems:
        samples, latents = both.cpu().numpy(), state.cpu().numpy()
        for what, values in (("samples", both), ("latents", state)):
            if not torch.isfinite(values).all():
                raise ModelError(f"gave NaN or infinite {what}", where=self.card.name)
        rate = self._codec.rate
        return Stems(Audio(samples[:1], rate), Audio(samples[1:], rate), latents, evaluations)


def _check(mixture: Audio, card: Card, i: int) -> None:
    if mixture.rate != card.rate:
        raise InputError(
            f"mixture {i} has {mixture.rate} Hz, the model takes {card.rate} Hz",
            where=card.name,
            fix="Resample it with otoscope.audio.resample.",
        )
    if mixture.channels != 1:
        raise InputError(
            f"mixture {i} has {mixture.channels} channels, the model takes 1", where=card.name, fix="Average them."
        )
