"""ASR head: an adapter from frames to the inputs of a frozen causal language model, which writes what was said.

Idea: can the words be had from the frames by a reader that knows language and no sound?
Source: X-ARES v0.1.3 (arXiv 2505.16369), its ASR model, read as code; fact sheet, section 4.6. The adapter is a gated
pair, silu(W1 h) * (W2 h), then a projection; no frames are merged. The model reads [frames][separator][text][end]; the
loss is on separator, text and end.
``published`` switches: frames of a batch are padded in the middle, so that text stands at positions that depend on its
neighbours; the epoch is chosen by teacher-forced words cut to the length of the truth; generation punishes repeats by
1.1. Ours without: no padding between frames and text, the epoch of the least loss, plain greedy words.
Shapes: frames ``[T, D]`` a sound and its text -> text. Errors: :class:`ModelError` on what is no causal language model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from otoscope.core.errors import ModelError
from otoscope.readouts.gradient import Recipe, train
from otoscope.readouts.library import quiet
from otoscope.readouts.ragged import Ragged
from otoscope.readouts.wer import word_errors

#: Between frames and text, where the tokenizer knows it (Qwen's); else the end token.
SEPARATOR = "<|vision_end|>"
_IGNORED = -100


@dataclass(frozen=True, eq=False)
class FrozenLM:
    """``model`` without gradients, ``tokenizer``, and the numbers of the separator and end tokens."""

    model: Any
    tokenizer: Any
    separator: int
    end: int

    @classmethod
    def of(cls, source: str) -> FrozenLM:
        """From a folder, or a hub id (``@revision`` behind it). Raises :class:`ModelError`."""
        return _load(source)

    def ids(self, text: str) -> list[int]:
        """Tokens of a text, without marks."""
        return list(self.tokenizer(text, add_special_tokens=False).input_ids)

    def text(self, ids: Sequence[int]) -> str:
        return str(self.tokenizer.decode(ids, skip_special_tokens=True))


@lru_cache(maxsize=1)
def _load(source: str) -> FrozenLM:
    import transformers as tr

    name, _, revision = source.partition("@")
    try:
        with quiet():
            model = tr.AutoModelForCausalLM.from_pretrained(name, revision=revision or None, dtype=torch.float32)
            tokenizer = tr.AutoTokenizer.from_pretrained(name, revision=revision or None)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as e:
        raise ModelError(
            f"is no causal language model that can be had here: {str(e).splitlines()[0]}",
            where=source,
            fix="Fetch it, or name the folder of another one: lm=DIR.",
        ) from e
    end = tokenizer.eos_token_id
    if end is None:
        raise ModelError("its tokenizer has no token that ends a text", where=source)
    separator = tokenizer.get_vocab().get(SEPARATOR, end)
    return FrozenLM(model.eval().requires_grad_(False), tokenizer, int(separator), int(end))


class Adapter(nn.Module):
    """Frames ``[..., D]`` -> inputs of the language model ``[..., width]``."""

    def __init__(self, dim: int, inner: int, width: int) -> None:
        super().__init__()
        self.gate, self.value, self.out = nn.Linear(dim, inner), nn.Linear(dim, inner), nn.Linear(inner, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.out(functional.silu(self.gate(x)) * self.value(x))
        return found


@dataclass(frozen=True, eq=False)
class FittedAsr:
    """``adapter`` is what was learned; ``chosen``: which epoch, in words."""

    lm: FrozenLM
    adapter: nn.Module
    published: bool
    max_new_tokens: int
    chosen: str

    @torch.inference_mode()
    def transcribe(self, x: Ragged) -> list[str]:
        """Words of each sound, one sound at a time."""
        return [self._one(np.asarray(frames)) for frames in x.parts]

    def _one(self, frames: NDArray[np.float32]) -> str:
        embed = self.lm.model.get_input_embeddings()
        heard = self.adapter(torch.from_numpy(np.array(frames)))
        inputs = torch.cat([heard, embed(torch.tensor([self.lm.separator]))])[None]
        more = {"repetition_penalty": 1.1} if self.published else {}
        out = self.lm.model.generate(
            inputs_embeds=inputs, attention_mask=torch.ones(inputs.shape[:2], dtype=torch.long), do_sample=False,
            max_new_tokens=self.max_new_tokens, eos_token_id=self.lm.end, pad_token_id=self.lm.end,
            temperature=None, top_p=None, top_k=None, **more,
        )  # fmt: skip
        return self.lm.text(out[0].tolist())


@dataclass(frozen=True)
class Asr:
    """``lm`` is a folder or hub id. ``inner`` is the adapter's width (None: that of the model's own feed-forward)."""

    name: ClassVar[str] = "asr"
    version: ClassVar[int] = 1
    seeded: ClassVar[bool] = True
    chooses: ClassVar[bool] = True

    lm: str
    recipe: Recipe = field(default_factory=lambda: Recipe(batch=4))
    inner: int | None = None
    published: bool = False
    max_new_tokens: int = 200

    def fit(
        self,
        x: Ragged,
        texts: Sequence[str],
        valid: tuple[Ragged, Sequence[str]] | None,
        seed: int,
        shards: Sequence[int] | None = None,
    ) -> FittedAsr:
        """Learn from frames and texts; the epoch is chosen on ``valid`` (None: the last one)."""
        lm = FrozenLM.of(self.lm)
        config = lm.model.config.get_text_config()
        width = int(config.hidden_size)
        inner = self.inner or int(getattr(config, "intermediate_size", None) or 4 * width)
        ids = [lm.ids(t) for t in texts]

        def take(rows: NDArray[np.intp]) -> tuple[Any, Any]:
            return x[rows], [ids[i] for i in rows]

        def loss(net: nn.Module, frames: Any, own: Any) -> torch.Tensor:
            value: torch.Tensor = _forward(lm, net, frames, own, self.published)[0]
            return value

        check = None
        if valid is not None and len(valid[0]):
            held, said = valid

            def check(net: nn.Module) -> float:
                return self._check(lm, net, held, said)

        trained = train(
            lambda: Adapter(x.dim, inner, width), len(x), take, loss, self.recipe, seed=seed, shards=shards,
            validate=check,
        )  # fmt: skip
        chosen = f"epoch {trained.epoch + 1} of {self.recipe.epochs}" if trained.history else ""
        return FittedAsr(lm, trained.net, self.published, self.max_new_tokens, chosen)

    def _check(self, lm: FrozenLM, net: nn.Module, held: Ragged, said: Sequence[str]) -> float:
        """Higher is better: the published score of teacher-forced words, or minus the loss per token."""
        guesses: list[str] = []
        total, tokens = 0.0, 0
        for start in range(0, len(held), self.recipe.batch):
            rows = list(range(start, min(start + self.recipe.batch, len(held))))
            own = [lm.ids(said[i]) for i in rows]
            loss, logits, at = _forward(lm, net, held[np.array(rows)], own, self.published)
            n = sum(len(o) + 2 for o in own)
            total, tokens = total + float(loss.detach()) * n, tokens + n
            for k, i in enumerate(rows):
                # Its words are read off every position from the separator on, and cut to the length of the truth.
                guesses.append(lm.text(logits[k, at[k] :].argmax(-1).tolist())[: len(said[i])])
        if not self.published:
            return -total / tokens
        errors, words = word_errors(guesses, said)
        return max(0.0, 1.0 - float(errors.sum()) / max(float(words.sum()), 1.0))


def _forward(
    lm: FrozenLM, net: nn.Module, x: Ragged, ids: Sequence[Sequence[int]], published: bool
) -> tuple[torch.Tensor, torch.Tensor, list[int]]:
    """Loss, logits ``[N, S, V]`` and where the separator stands. Frames are padded in the middle where ``published``,
    else the end of every sequence is."""
    embed = lm.model.get_input_embeddings()
    texts = [[lm.separator, *own, lm.end] for own in ids]
    most = int(x.lengths.max())
    heard = net(torch.from_numpy(x.padded()[0]))
    at = [most if published else len(p) for p in x.parts]
    size = max(a + len(t) for a, t in zip(at, texts, strict=True))
    inputs = heard.new_zeros((len(texts), size, heard.shape[-1]))
    mask = torch.zeros((len(texts), size), dtype=torch.long)
    labels = torch.full((len(texts), size), _IGNORED)
    for k, (p, a, t) in enumerate(zip(x.parts, at, texts, strict=True)):
        tokens = torch.tensor(t)
        inputs[k, : len(p)] = heard[k, : len(p)]
        inputs[k, a : a + len(t)] = embed(tokens)
        mask[k, : len(p)], mask[k, a : a + len(t)] = 1, 1
        labels[k, a : a + len(t)] = tokens
    logits = lm.model(inputs_embeds=inputs, attention_mask=mask).logits
    value = functional.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=_IGNORED)
    return value, logits, at
