"""Audio-text retrieval: a projection of pooled sound and one of a bag of words, trained to find each other.

Idea: can a small text side, that starts from nothing, be led to what the embedding says?
Source: X-ARES v0.1.3 (arXiv 2505.16369), its retrieval model for Clotho, read as code; fact sheet, section 4.5. Sound:
LayerNorm, Linear, GELU, Linear. Text: a trained table, Linear, GELU, Linear per token, mean over tokens. Each caption
is an example with its clip; softmax both ways over the batch, with a learned temperature.
``published`` switches: dot products, other captions of the same clip count as wrong, and mean|x| / |x| of both sides is
added to the loss. Ours without: cosines, and of the same clip every caption is right (equal shares).
Shapes: vectors ``[N, D]`` and captions of each -> embeddings ``[N, E]`` and ``[captions, E]``.
Errors: :class:`InputError` on a clip without captions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from otoscope.core.errors import InputError
from otoscope.readouts.gradient import Recipe, train
from otoscope.readouts.probe import Floats
from otoscope.readouts.words import Vocabulary

Captions = Sequence[Sequence[str]]


class TwoSides(nn.Module):
    """``sound(x [N, D])`` and ``text(tokens [M, T], real [M, T])`` -> ``[., width]``."""

    def __init__(self, dim: int, n_words: int, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.audio = nn.Sequential(nn.Linear(dim, width), nn.GELU(), nn.Linear(width, width))
        self.table = nn.Embedding(n_words, width)
        self.words = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, width))
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))

    def sound(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.audio(self.norm(x))
        return found

    def text(self, tokens: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
        each = self.words(self.table(tokens)) * real.unsqueeze(-1)
        found: torch.Tensor = each.sum(dim=1) / real.sum(dim=1, keepdim=True).clamp(min=1)
        return found


@dataclass(frozen=True)
class FittedRetrieval:
    """``vocabulary`` turns captions into tokens; ``chosen``: which epoch, in words."""

    net: TwoSides
    vocabulary: Vocabulary
    chosen: str

    @torch.inference_mode()
    def embed(self, x: Floats, captions: Captions) -> tuple[Floats, Floats]:
        """Unit vectors of sounds ``[N, E]`` and of all captions, clip by clip, ``[captions, E]``."""
        flat = [c for own in captions for c in own]
        sound = self.net.sound(torch.from_numpy(np.ascontiguousarray(x, dtype=np.float32)))
        parts = []
        for start in range(0, len(flat), 512):
            parts.append(self.net.text(*_tokens(self.vocabulary, flat[start : start + 512])))
        a, b = (functional.normalize(v, dim=-1).numpy() for v in (sound, torch.cat(parts)))
        return a, b

    def recall_at_1(self, x: Floats, captions: Captions) -> tuple[NDArray[np.float64], list[str]]:
        """Per clip the mean of: is the best of all captions one of its own, and the share of its captions that find it
        before any other clip; and the caption found. Their mean is the published score."""
        sound, text = self.embed(x, captions)
        owner = np.repeat(np.arange(len(captions)), [len(c) for c in captions])
        flat = [c for own in captions for c in own]
        best = (sound @ text.T).argmax(axis=1)
        to_text = owner[best] == np.arange(len(captions))
        found = (text @ sound.T).argmax(axis=1) == owner
        to_sound = np.bincount(owner, weights=found) / np.bincount(owner)
        return (to_text + to_sound) / 2, [flat[k] for k in best]


@dataclass(frozen=True)
class Retrieval:
    """``width`` is that of both sides and of the table. ``vocabulary`` None: the words of the training captions."""

    name: ClassVar[str] = "retrieval"
    version: ClassVar[int] = 1
    seeded: ClassVar[bool] = True
    chooses: ClassVar[bool] = True

    recipe: Recipe = field(default_factory=lambda: Recipe(epochs=20, batch=128))
    width: int = 1024
    published: bool = False
    vocabulary: Vocabulary | None = None

    def fit(
        self,
        x: Floats,
        captions: Captions,
        valid: tuple[Floats, Captions] | None,
        seed: int,
        shards: Sequence[int] | None = None,
    ) -> FittedRetrieval:
        """Learn from clips ``[N, D]`` and their captions; the epoch is chosen by recall on ``valid``."""
        if any(not own for own in captions):
            raise InputError("a clip has no caption, and cannot be found by one")
        vocabulary = self.vocabulary or Vocabulary.of([c for own in captions for c in own])
        owner = np.repeat(np.arange(len(captions)), [len(c) for c in captions])
        flat = [c for own in captions for c in own]
        sound = torch.from_numpy(np.ascontiguousarray(x, dtype=np.float32))

        def take(rows: NDArray[np.intp]) -> tuple[Any, Any]:
            tokens = _tokens(vocabulary, [flat[i] for i in rows])
            return (sound[owner[rows]], *tokens), torch.from_numpy(owner[rows])

        def loss(net: Any, batch: Any, clip: torch.Tensor) -> torch.Tensor:
            found: torch.Tensor = self._loss(net, batch, clip)
            return found

        check = None
        if valid is not None and len(valid[0]):
            held, said = valid

            def check(net: Any) -> float:
                return float(FittedRetrieval(net, vocabulary, "").recall_at_1(held, said)[0].mean())

        counts = [len(c) for c in captions]
        trained = train(
            lambda: TwoSides(x.shape[1], vocabulary.size, self.width), len(flat), take, loss, self.recipe, seed=seed,
            shards=shards, copies=counts, validate=check,
        )  # fmt: skip
        chosen = f"epoch {trained.epoch + 1} of {self.recipe.epochs}" if trained.history else ""
        net: Any = trained.net
        return FittedRetrieval(net, vocabulary, chosen)

    def _loss(self, net: TwoSides, batch: tuple[torch.Tensor, ...], clip: torch.Tensor) -> Any:
        x, tokens, real = batch
        a, t = net.sound(x), net.text(tokens, real)
        if self.published:
            right = torch.eye(len(a))
        else:
            a, t = functional.normalize(a, dim=-1), functional.normalize(t, dim=-1)
            same = (clip[:, None] == clip[None, :]).float()
            right = same / same.sum(dim=1, keepdim=True)
        s = net.log_scale.exp() * a @ t.T
        value = -((s.log_softmax(1) + s.T.log_softmax(1)) * right).sum(1).mean() / 2
        if self.published:
            value = value + sum(v.abs().mean() / v.square().sum().sqrt() for v in (a, t))
        return value


def _tokens(vocabulary: Vocabulary, texts: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
    ids = [vocabulary.ids(t) or [0] for t in texts]
    n = max(map(len, ids))
    tokens = torch.zeros((len(ids), n), dtype=torch.long)
    real = torch.zeros((len(ids), n))
    for k, own in enumerate(ids):
        tokens[k, : len(own)] = torch.tensor(own)
        real[k, : len(own)] = 1
    return tokens, real
