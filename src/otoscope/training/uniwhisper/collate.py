"""From records to tensors: sounds, what is asked, and where the answer is learned.

Only the answer and its end are learned: the labels of the instruction, of the sound and of padding are -100 (the
library's own processor would let the instruction be learned too). Text is padded on the right. Sounds of a batch are
filled up with silence to the longest, sometimes to more, up to the whole window, so that the encoder is used later in
no way that it was not trained in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from otoscope.core.errors import ModelError
from otoscope.training.uniwhisper.network import SOUND
from otoscope.training.uniwhisper.records import RATE

#: Stands in the rendered text where the sound goes.
MARK = "<<sound>>"


@dataclass(frozen=True, eq=False)
class Sample:
    """One clip with what is asked and answered. ``source`` names where it was drawn."""

    wave: NDArray[np.float32]
    instruction: str
    answer: str
    task: str
    source: str


@dataclass(eq=False)
class Laid:
    """Tensors of a batch: ``mel`` ``[B, mels, F]`` with ``frames`` ``[B]`` of real sound; ``ids``, ``labels``,
    ``attention`` ``[B, S]``; ``answers`` are the answers' tokens without the end."""

    mel: Tensor
    frames: Tensor
    ids: Tensor
    labels: Tensor
    attention: Tensor
    answers: list[list[int]]
    tasks: list[str]
    sources: list[str]
    seconds: float
    state: dict[str, Any] = field(default_factory=dict)

    @property
    def learned(self) -> int:
        """Answer tokens, ends included."""
        return int((self.labels != -100).sum())

    @property
    def waste(self) -> float:
        """Share of the mel frames that are silence put there."""
        return 1.0 - float(self.frames.sum()) / (self.mel.shape[0] * self.mel.shape[-1])

    def to(self, device: torch.device) -> Laid:
        moved = {n: getattr(self, n).to(device) for n in ("mel", "frames", "ids", "labels", "attention")}
        return Laid(
            **moved,
            answers=self.answers,
            tasks=self.tasks,
            sources=self.sources,
            seconds=self.seconds,
            state=self.state,
        )


class Layout:
    """How one tokenizer and one feature extractor lay samples out. ``per_token`` mel frames are one token of sound;
    with None, for Whisper's own decoder, none is, and the prompt begins with the token ``start``."""

    def __init__(
        self,
        tokenizer: Any,
        extractor: Any,
        per_token: Fraction | int | None,
        full_share: float = 0.1,
        start: int | None = None,
    ) -> None:
        self.tokenizer, self.extractor, self.per_token, self.full_share = tokenizer, extractor, per_token, full_share
        self.start = [] if start is None else [start]

    def text(self, instruction: str) -> tuple[list[int], list[int]]:
        """Tokens before and after the sound, up to where the answer begins."""
        content = f"{MARK}\n{instruction}"
        if getattr(self.tokenizer, "chat_template", None):
            rendered = self.tokenizer.apply_chat_template(
                [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
            )
        else:
            rendered = f"{content}\n"
        before, mark, after = rendered.partition(MARK)
        if not mark:
            raise ModelError("the chat template leaves out what is asked", where="tokenizer")
        return self._ids(before), self._ids(after)

    def lay_out(self, samples: Sequence[Sample], rng: np.random.Generator) -> Laid:
        """Tensors of ``samples``; ``rng`` decides how much silence follows."""
        mel, frames = self.features([s.wave for s in samples], rng)
        rows: list[tuple[list[int], list[int]]] = []
        for s, n in zip(samples, frames.tolist(), strict=True):
            before, after = self.text(s.instruction)
            answer = [*self._ids(s.answer), self.tokenizer.eos_token_id]
            sound = 0 if self.per_token is None else int(-(-n // self.per_token))
            ids = [*self.start, *before, *[SOUND] * sound, *after]
            rows.append((ids, answer))
        width = max(len(a) + len(b) for a, b in rows)
        all_ids = torch.zeros(len(rows), width, dtype=torch.long)
        labels, attention = torch.full_like(all_ids, -100), torch.zeros_like(all_ids)
        for i, (asked, answer) in enumerate(rows):
            whole = torch.tensor([*asked, *answer])
            all_ids[i, : len(whole)] = whole
            labels[i, len(asked) : len(whole)] = whole[len(asked) :]
            attention[i, : len(whole)] = 1
        answers = [a[:-1] for _, a in rows]
        seconds = sum(len(s.wave) for s in samples) / RATE
        return Laid(
            mel,
            frames,
            all_ids,
            labels,
            attention,
            answers,
            [s.task for s in samples],
            [s.source for s in samples],
            seconds,
        )

    def features(self, waves: Sequence[NDArray[np.float32]], rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Log-mel ``[B, mels, F]`` by the extractor's own function, and the real frames of each."""
        hop = int(self.extractor.hop_length)
        step = 4 * hop
        longest, window = max(map(len, waves)), int(self.extractor.n_samples)
        if longest > window:
            raise ModelError(f"a sound has {longest} samples, the encoder's window {window}", where="collate")
        size = -(-longest // step) * step
        if rng.random() < self.full_share:
            size = int(rng.integers(size // step, window // step + 1)) * step
        padded = np.zeros((len(waves), size), np.float32)
        for i, wave in enumerate(waves):
            padded[i, : len(wave)] = wave
        mel = torch.as_tensor(self.extractor._torch_extract_fbank_features(padded, "cpu"))
        return mel, torch.tensor([max(1, -(-len(w) // hop)) for w in waves])

    def _ids(self, text: str) -> list[int]:
        found: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return found
