"""What the encoder forgets: how well the decoder that it came with still reads it.

The decoder of a Whisper checkpoint stays as it is and gets the states of the encoder that is being trained, on held-out
speech: loss per token of the transcript, and word errors of its greedy reply, beside those of the checkpoint's own
encoder. (The probes cannot tell: what is moved elsewhere in the state is there for them, and lost to this decoder.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from otoscope.core.errors import ModelError, UsageError
from otoscope.models.encoders.hf import quiet
from otoscope.training.uniwhisper.collate import Layout
from otoscope.training.uniwhisper.records import Record
from otoscope.training.uniwhisper.templates import Bank

ROWS = 16


class Forgetting:
    """``source``: the checkpoint (folder or hub id). ``records``: speech with transcripts (task ``asr``), of which at
    most ``clips`` are used, evenly spaced. A decoder with Whisper's tokenizer gets Whisper's own prompt, another the
    first instruction of ``bank``. Raises :class:`ModelError` and :class:`UsageError`."""

    def __init__(self, source: str | Path, records: Sequence[Record], bank: Bank, device: Any, clips: int = 64) -> None:
        import transformers as tr

        speech = [r for r in records if r.task == "asr"]
        if not speech:
            fix = "Give a source of task asr records of the split test."
            raise UsageError("forgetting is measured on held-out speech, and there is none", where="run", fix=fix)
        self.records = [speech[int(i)] for i in np.linspace(0, len(speech) - 1, min(clips, len(speech))).round()]
        try:
            with quiet():
                self.whisper = tr.WhisperForConditionalGeneration.from_pretrained(str(source), dtype=torch.float32)
                self.tokenizer = tr.AutoTokenizer.from_pretrained(str(source))
                self.extractor = tr.WhisperFeatureExtractor.from_pretrained(str(source))
        except (OSError, ValueError) as e:
            what = f"is no Whisper checkpoint with a decoder: {str(e).splitlines()[0]}"
            raise ModelError(what, where=str(source)) from e
        if not self.whisper.config.decoder_layers:
            raise ModelError("has an encoder alone", where=str(source), fix="Name a checkpoint with its decoder.")
        self.whisper.to(device).eval().requires_grad_(False)
        self.source, self.device = str(source), device
        self.asked = bank.texts["asr"][0]
        self.before = self._measure()

    def measure(self, encoder: Mapping[str, Tensor]) -> dict[str, float]:
        """``loss`` per token and ``wer`` with ``encoder`` (tensors under Whisper's names), and ``loss_before`` and
        ``wer_before`` of the checkpoint's own."""
        try:
            self.whisper.model.encoder.load_state_dict(dict(encoder), strict=True)
        except RuntimeError as e:
            what = f"its decoder reads another encoder: {str(e).splitlines()[-1].strip()}"
            raise ModelError(what, where=self.source) from e
        return {**self._measure(), **{f"{k}_before": v for k, v in self.before.items()}}

    def prompt(self, record: Record) -> list[int]:
        """Tokens before the transcript."""
        tokenizer = self.tokenizer
        if hasattr(tokenizer, "set_prefix_tokens"):
            tokenizer.set_prefix_tokens(language=record.language or None, task="transcribe", predict_timestamps=False)
            return list(tokenizer.prefix_tokens)
        before, after = Layout(tokenizer, None, None).text(self.asked)
        return [int(self.whisper.config.decoder_start_token_id), *before, *after]

    @torch.no_grad()
    def _measure(self) -> dict[str, float]:
        from otoscope.tasks.transcripts import word_errors

        lost, tokens, errors, words = 0.0, 0, 0, 0
        by: dict[tuple[int, ...], list[Record]] = {}
        for r in self.records:
            by.setdefault(tuple(self.prompt(r)), []).append(r)
        for prompt, records in by.items():
            for at in range(0, len(records), ROWS):
                some = records[at : at + ROWS]
                states = self._states(some)
                truth = [str(r.answer) for r in some]
                a, b = self._loss(prompt, truth, states)
                lost, tokens = lost + a, tokens + b
                for said, right in zip(self._said(prompt, truth, states), truth, strict=True):
                    counted = word_errors(right, said)
                    errors, words = errors + counted.errors, words + counted.words
        return {"loss": lost / tokens, "wer": errors / words}

    def _states(self, records: Sequence[Record]) -> Tensor:
        """``[B, T, d]`` of whole windows, as Whisper hears them."""
        waves = [r.sound.load() for r in records]
        mel = self.extractor(waves, sampling_rate=self.extractor.sampling_rate, return_tensors="pt").input_features
        found: Tensor = self.whisper.model.encoder(mel.to(self.device)).last_hidden_state
        return found

    def _tokens(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return [*ids, int(self.tokenizer.eos_token_id)]

    def _logits(self, ids: Tensor, states: Tensor) -> Tensor:
        heard = self.whisper.model.decoder(input_ids=ids, encoder_hidden_states=states, use_cache=False)
        found: Tensor = self.whisper.proj_out(heard.last_hidden_state)
        return found

    def _loss(self, prompt: tuple[int, ...], truth: Sequence[str], states: Tensor) -> tuple[float, int]:
        """Sum over the transcripts' tokens, ends included, and their number."""
        rows = [self._tokens(t) for t in truth]
        width = len(prompt) + max(map(len, rows))
        ids = torch.full((len(rows), width), int(self.tokenizer.eos_token_id))
        labels = torch.full_like(ids, -100)
        for i, row in enumerate(rows):
            whole = torch.tensor([*prompt, *row])
            ids[i, : len(whole)] = whole
            labels[i, len(prompt) : len(whole)] = whole[len(prompt) :]
        logits = self._logits(ids.to(self.device), states)[:, :-1].float()
        learned = labels[:, 1:].to(self.device)
        loss = nn.functional.cross_entropy(logits.transpose(1, 2), learned, ignore_index=-100, reduction="sum")
        return float(loss), int((learned != -100).sum())

    def _said(self, prompt: tuple[int, ...], truth: Sequence[str], states: Tensor) -> list[str]:
        """Greedy replies, at most twice as long as the longest truth."""
        end = int(self.tokenizer.eos_token_id)
        room = int(self.whisper.config.max_target_positions) - len(prompt)
        ids = torch.tensor([prompt] * len(truth), device=self.device)
        done = torch.zeros(len(truth), dtype=torch.bool, device=self.device)
        for _ in range(min(room, 2 * max(len(self._tokens(t)) for t in truth))):
            following = self._logits(ids, states)[:, -1].argmax(-1).masked_fill(done, end)
            ids = torch.cat([ids, following[:, None]], 1)
            done |= following == end
            if bool(done.all()):
                break
        replies = [row[len(prompt) :] for row in ids.tolist()]
        kept = [r[: r.index(end)] if end in r else r for r in replies]
        return [str(self.tokenizer.decode(r, skip_special_tokens=True)) for r in kept]
