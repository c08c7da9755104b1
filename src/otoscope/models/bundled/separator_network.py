"""The tiny separator: SAM Audio's flow network at a small size, over lapped-transform frames of 8 kHz sound. Ours.

Its text encoder is a table of words. Network, words and the codec's scale are one module, saved as one file.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from otoscope.core.errors import InputError
from otoscope.core.registry import suggestions
from otoscope.models.bundled.mdct import Mdct
from otoscope.models.separators.dit import DiTConfig, FlowNetwork

RATE, HOP, BANDS = 8_000, 160, 40
TEXT_DIM = 64
CONFIG = DiTConfig(
    dim=192,
    heads=4,
    layers=6,
    latent=BANDS + HOP,
    text_dim=TEXT_DIM,
    video_dim=None,
    anchor_dim=32,
    frequencies=64,
    multiple_of=32,
    max_positions=4_000,
    prediction="clean",
)


class WordTable(nn.Module):
    """One learned vector per word, and one for the end of a text, so that even one word leaves attention a choice (the
    ``Words`` of ``models/separators/flow.py``). A word that it never saw is an error, not a guess."""

    def __init__(self, vocabulary: Sequence[str], width: int = TEXT_DIM) -> None:
        super().__init__()
        self.vocabulary = tuple(vocabulary)
        self._index = {word: i for i, word in enumerate(self.vocabulary)}
        self.table = nn.Embedding(len(self.vocabulary) + 1, width)

    def encode(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Vectors ``[B, S, width]`` and which of them are real ``[B, S]``. Raises :class:`InputError` on a text with an
        unknown word or with none."""
        rows = [self._rows(text) for text in texts]
        longest, device = max(map(len, rows)), self.table.weight.device
        ids = torch.tensor([r + [0] * (longest - len(r)) for r in rows], device=device)
        mask = torch.tensor([[i < len(r) for i in range(longest)] for r in rows], device=device)
        return self.table(ids), mask

    def _rows(self, text: str) -> list[int]:
        words = re.findall(r"[a-z]+", text.lower())
        if not words:
            raise InputError(f"the prompt {text!r} has no word", fix="Leave it empty for no text.")
        for word in words:
            if word not in self._index:
                near = suggestions(word, list(self.vocabulary))
                hint = f"Near: {', '.join(near)}. " if near else ""
                raise InputError(
                    f"the tiny separator doesn't know the word {word!r} of the prompt {text!r}",
                    fix=f"{hint}Its {len(self.vocabulary)} words: {', '.join(self.vocabulary)}.",
                )
        return [*(self._index[word] for word in words), len(self.vocabulary)]


class TinyNetwork(nn.Module):
    """What is trained: the flow network, its words and its codec."""

    def __init__(self, vocabulary: Sequence[str], config: DiTConfig = CONFIG, hop: int = HOP) -> None:
        super().__init__()
        self.flow = FlowNetwork(config)
        self.words = WordTable(vocabulary)
        self.codec = Mdct(RATE, hop, config.latent - hop)

    def extra(self) -> dict[str, Any]:
        """What the tensors don't say."""
        return {"vocabulary": list(self.words.vocabulary)}


def vocabulary(texts: Sequence[str]) -> tuple[str, ...]:
    """Sorted words of ``texts``."""
    return tuple(sorted({word for text in texts for word in re.findall(r"[a-z]+", text.lower())}))
