"""Whisper's own decoder in place of a language model (the paper's ablation A).

It attends across to the encoder's 50 states a second, after the final norm, as in Whisper, so there is no adapter and
no place of sound among the tokens: the prompt is its start token and the instruction. It is trained like a decoder of
the kind ``trainable``, and thrown away with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from otoscope.core.errors import ModelError
from otoscope.readouts.library import quiet


class OwnDecoder(nn.Module):
    """A ``WhisperDecoder`` with the head tied to its embeddings, as Whisper ties it. ``start`` begins every prompt."""

    def __init__(self, decoder: Any, start: int) -> None:
        super().__init__()
        self.decoder, self.start = decoder, start

    def get_input_embeddings(self) -> nn.Embedding:
        found: nn.Embedding = self.decoder.embed_tokens
        return found

    def gradient_checkpointing_enable(self, options: dict[str, Any]) -> None:
        self.decoder.gradient_checkpointing_enable(options)

    def forward(self, ids: Tensor, attention: Tensor, states: Tensor) -> Tensor:
        """Scores ``[B, S, V]`` of what follows each of ``ids`` ``[B, S]``, having heard ``states`` ``[B, T, d]``."""
        room = self.decoder.config.max_target_positions
        if ids.shape[1] > room:
            raise ModelError(
                f"an instruction with its answer has {ids.shape[1]} tokens, Whisper's decoder has places for {room}",
                where="decoder",
            )
        heard = self.decoder(
            input_ids=ids, attention_mask=attention, encoder_hidden_states=states, use_cache=False
        ).last_hidden_state
        return nn.functional.linear(heard, self.decoder.embed_tokens.weight)


def own_decoder(source: str | Path) -> tuple[OwnDecoder, Any]:
    """The decoder of a Whisper checkpoint and its tokenizer. Raises :class:`ModelError`."""
    import transformers as tr

    try:
        with quiet():
            whisper = tr.WhisperModel.from_pretrained(str(source), dtype=torch.float32)
            tokenizer = tr.AutoTokenizer.from_pretrained(str(source))
    except (OSError, ValueError) as e:
        raise ModelError(f"is no Whisper checkpoint: {str(e).splitlines()[0]}", where=str(source)) from e
    if not whisper.config.decoder_layers:
        raise ModelError("has an encoder alone", where=str(source), fix="Name a Whisper checkpoint with its decoder.")
    return OwnDecoder(whisper.decoder, int(whisper.config.decoder_start_token_id)), tokenizer
