"""The network: a Whisper encoder, an adapter, and a language model that answers from what they give it.

The encoder is Audio Flamingo 3's class of ``transformers``, which takes Whisper's tensors name by name, with a
position table that is cut to the sound: a short clip does not pay for a whole window. What a plain Whisper encoder
would attend to (the silence that a window is filled up with) is attended to here too, so that the exported encoder is
used as it was trained; only tokens of real sound reach the language model.

The language model is any causal one of ``transformers``, used as its own class, so that tied heads stay tied. Frozen
(the paper's way) it gives gradients and takes none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from otoscope.core.errors import ModelError, UsageError
from otoscope.models.devices import seeded
from otoscope.readouts.library import quiet
from otoscope.training.audiolm.network import start_weights
from otoscope.training.uniwhisper.clap import ClapTower
from otoscope.training.uniwhisper.lora import with_lora
from otoscope.training.uniwhisper.own_decoder import OwnDecoder, own_decoder

Kind = Literal["frozen", "trainable", "lora", "whisper"]
#: Where a token of sound stands among ids.
SOUND = -1
#: Encoder frames (50 a second) of one token, by tokens a second.
_FRAMES = {25.0: 2, 12.5: 4}


@dataclass(frozen=True)
class Fresh:
    """An encoder that is drawn, not loaded: for small runs."""

    width: int = 192
    layers: int = 4
    heads: int = 4
    mels: int = 80
    window_s: float = 10.0


class Positions(nn.Module):
    """The encoder's position table, cut to ``length`` rows. It is not trained, as in Whisper."""

    def __init__(self, table: nn.Embedding) -> None:
        super().__init__()
        self.table = table.requires_grad_(False)
        self.length = table.num_embeddings

    @property
    def weight(self) -> Tensor:
        return self.table.weight[: self.length]


class Adapter(nn.Module):
    """Two linear maps with a GELU between, over one pooled frame (25 tokens a second) or two side by side (12.5)."""

    def __init__(self, width: int, out: int, rate_hz: float = 25.0) -> None:
        super().__init__()
        if rate_hz not in _FRAMES:
            raise UsageError(f"there is no adapter of {rate_hz:g} Hz", where="adapter", fix="25 or 12.5")
        self.stack = _FRAMES[rate_hz] // 2
        self.first, self.second = nn.Linear(width * self.stack, out), nn.Linear(out, out)

    def forward(self, x: Tensor) -> Tensor:
        if self.stack > 1:
            x = nn.functional.pad(x, (0, 0, 0, -x.shape[1] % self.stack))
            x = x.reshape(x.shape[0], -1, self.stack * x.shape[2])
        found: Tensor = self.second(nn.functional.gelu(self.first(x)))
        return found


class Listener(nn.Module):
    """Encoder, adapter and language model. ``ctc``: a linear map from adapted tokens to the vocabulary and a blank, an
    auxiliary for small runs (ours), dropped afterwards."""

    def __init__(self, encoder: Any, adapter: Adapter, lm: Any, ctc: bool = False) -> None:
        super().__init__()
        if not isinstance(encoder, ClapTower):
            encoder.embed_positions = Positions(encoder.embed_positions)
        self.encoder, self.adapter, self.lm = encoder, adapter, lm
        width = lm.get_input_embeddings().weight.shape[1]
        if self.crosses:
            if isinstance(encoder, ClapTower):
                raise UsageError("Whisper's own decoder reads Whisper's encoder, not CLAP's", where="decoder")
            if ctc:
                raise UsageError("CTC goes with a language model, not with Whisper's own decoder", where="optimise")
            encoder.avg_pooler = nn.Identity()  # 50 states a second, as that decoder knows them
            adapter.requires_grad_(False)
        self.ctc = nn.Linear(width, lm.get_input_embeddings().weight.shape[0] + 1) if ctc else None

    @property
    def crosses(self) -> bool:
        """Whether the decoder attends across to the states, so that no token stands for sound."""
        return isinstance(self.lm, OwnDecoder)

    def hear(self, mel: Tensor) -> Tensor:
        """Pooled encoder states ``[B, ceil(F / 4), d]`` (twice as many for Whisper's own decoder, CLAP's steps for
        CLAP) of ``mel`` ``[B, mels, F]``. Frames of padding are attended to."""
        return heard_by(self.encoder, mel)

    @property
    def per_token(self) -> Fraction:
        """Mel frames of one token of sound."""
        if isinstance(self.encoder, ClapTower):
            return self.encoder.per_token * self.adapter.stack
        return Fraction(2 * _FRAMES[25.0] * self.adapter.stack)

    def tokens(self, frames: Tensor) -> Tensor:
        """How many tokens stand for so many real mel frames."""
        per = self.per_token
        return -(-(frames * per.denominator) // per.numerator)

    def forward(self, mel: Tensor, frames: Tensor, ids: Tensor, labels: Tensor, attention: Tensor) -> Heard:
        """``ids`` ``[B, S]`` with :data:`SOUND` for every token of sound, ``labels`` -100 where nothing is learned."""
        states = self.hear(mel)
        if self.crosses:
            return Heard(_losses(self.lm(ids, attention, states), labels), states, self.tokens(frames), states)
        adapted = self.adapter(states)
        n = self.tokens(frames)
        valid = torch.arange(adapted.shape[1], device=mel.device)[None] < n[:, None]
        there = ids == SOUND
        if int(there.sum()) != int(valid.sum()):
            raise ModelError(f"{int(there.sum())} places for {int(valid.sum())} tokens of sound", where="collate")
        embeds = self.lm.get_input_embeddings()(ids.clamp(min=0))
        embeds = embeds.masked_scatter(there[..., None], adapted[valid].to(embeds.dtype))
        logits = self.lm(inputs_embeds=embeds, attention_mask=attention, use_cache=False).logits
        return Heard(_losses(logits, labels), adapted, n, states)


def heard_by(encoder: Any, mel: Tensor) -> Tensor:
    """States ``[B, T, d]`` of an encoder of a :class:`Listener`; the position table is cut to the sound."""
    if isinstance(encoder, ClapTower):
        return encoder(mel)  # type: ignore[no-any-return]
    frames = mel.shape[-1]
    positions = encoder.embed_positions
    positions.length = (frames - 1) // 2 + 1
    if positions.length > positions.table.num_embeddings:
        raise UsageError(
            f"{frames} frames are more than the encoder's window of {2 * positions.table.num_embeddings}",
            where="encoder",
        )
    everything = torch.ones(mel.shape[0], frames, dtype=torch.long, device=mel.device)
    found: Tensor = encoder(mel, input_features_mask=everything).last_hidden_state
    return found


def _losses(logits: Tensor, labels: Tensor) -> Tensor:
    """``[B, S - 1]``, 0 where nothing is learned."""
    ahead = logits[:, :-1].float().transpose(1, 2)
    return nn.functional.cross_entropy(ahead, labels[:, 1:], ignore_index=-100, reduction="none")


@dataclass
class Heard:
    """``losses`` ``[B, S - 1]`` (0 where nothing is learned), ``adapted`` ``[B, T, D]`` of which ``tokens`` ``[B]`` are
    sound, ``states`` ``[B, T, d]``."""

    losses: Tensor
    adapted: Tensor
    tokens: Tensor
    states: Tensor


# --- where the parts come from ----------------------------------------------------------------------------------


def whisper_encoder(source: str | Path) -> tuple[Any, Any]:
    """The encoder of a Whisper checkpoint (folder or hub id) in Audio Flamingo 3's class, and Whisper's config. Every
    tensor is taken. Raises :class:`ModelError`."""
    import transformers as tr

    try:
        with quiet():
            whisper = tr.WhisperModel.from_pretrained(str(source), dtype=torch.float32)
    except (OSError, ValueError) as e:
        raise ModelError(f"is no Whisper checkpoint: {str(e).splitlines()[0]}", where=str(source)) from e
    encoder = tr.AudioFlamingo3Encoder(encoder_config(whisper.config))
    encoder.load_state_dict(whisper.encoder.state_dict(), strict=True)
    return encoder, whisper.config


def fresh_encoder(fresh: Fresh, seed: int) -> tuple[Any, Any]:
    """An encoder with weights drawn under ``seed``, wide enough to be trained from nothing, and a Whisper config."""
    import transformers as tr

    config = tr.WhisperConfig(
        d_model=fresh.width, encoder_layers=fresh.layers, encoder_attention_heads=fresh.heads,
        encoder_ffn_dim=4 * fresh.width, num_mel_bins=fresh.mels, max_source_positions=round(50 * fresh.window_s),
        decoder_layers=0, decoder_attention_heads=fresh.heads, decoder_ffn_dim=4, vocab_size=8, max_target_positions=8,
        pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=1,
    )  # fmt: skip
    with seeded(seed):
        encoder = tr.AudioFlamingo3Encoder(encoder_config(config))
        start_weights(encoder, fresh.layers, 1)
    return encoder, config


def encoder_config(whisper: Any) -> Any:
    """Audio Flamingo 3's config of a Whisper encoder."""
    import transformers as tr

    return tr.AudioFlamingo3EncoderConfig(
        num_mel_bins=whisper.num_mel_bins,
        hidden_size=whisper.d_model,
        intermediate_size=whisper.encoder_ffn_dim,
        num_hidden_layers=whisper.encoder_layers,
        num_attention_heads=whisper.encoder_attention_heads,
        max_source_positions=whisper.max_source_positions,
        activation_function=whisper.activation_function,
    )


def language_model(
    source: str | Path, kind: Kind, dtype: torch.dtype = torch.float32, rank: int = 16
) -> tuple[Any, Any]:
    """A causal language model and its tokenizer, from a folder or hub id. ``lora`` is of ``rank``; ``whisper`` is the
    decoder of a Whisper checkpoint. Raises :class:`ModelError` and :class:`UsageError`."""
    import transformers as tr

    if kind == "whisper":
        return own_decoder(source)
    try:
        with quiet():
            lm = tr.AutoModelForCausalLM.from_pretrained(str(source), dtype=dtype)
            tokenizer = tr.AutoTokenizer.from_pretrained(str(source))
    except (OSError, ValueError) as e:
        raise ModelError(f"is no causal language model: {str(e).splitlines()[0]}", where=str(source)) from e
    if tokenizer.eos_token_id is None:
        raise ModelError("its tokenizer has no token that ends an answer", where=str(source))
    if kind == "frozen":
        lm.requires_grad_(False)
    elif kind == "lora":
        lm = with_lora(lm, rank, 2.0 * rank)
    elif kind != "trainable":
        raise UsageError(f"there is no decoder of the kind {kind!r}", fix="frozen, trainable, lora or whisper")
    return lm, tokenizer


def groups(listener: Listener, rates: tuple[float, float], decay: float, layer_decay: float) -> list[dict[str, Any]]:
    """Parameter groups for AdamW: the adapter (and a decoder that is trained) at ``rates[1]``, the encoder at
    ``rates[0]``, lower by ``layer_decay`` for every layer further down; norms and biases don't decay."""
    found: dict[tuple[float, float], list[Tensor]] = {}
    n = len(listener.encoder.layers)
    for name, p in listener.named_parameters():
        if not p.requires_grad:
            continue
        rate = rates[0] * layer_decay ** (n - _depth(name, n)) if name.startswith("encoder.") else rates[1]
        found.setdefault((rate, decay if p.ndim > 1 else 0.0), []).append(p)
    return [{"params": ps, "lr": rate, "peak": rate, "weight_decay": wd} for (rate, wd), ps in found.items()]


def _depth(name: str, n: int) -> int:
    """0 for what lies below the layers, ``n`` for the last layer and the norm."""
    parts = name.split(".")
    if "layers" in parts:
        return int(parts[parts.index("layers") + 1]) + 1
    return 0 if any(low in name for low in ("conv", "patch_embed", "batch_norm")) else n


def ctc_loss(listener: Listener, heard: Heard, targets: Sequence[Sequence[int]]) -> Tensor:
    """Sum over clips of CTC of their answers' tokens, of those that have ``targets`` and room for them."""
    if listener.ctc is None:
        raise UsageError("the network has no map for CTC", where="ctc")
    rows = [i for i, t in enumerate(targets) if t and 2 * len(t) < int(heard.tokens[i])]
    if not rows:
        return heard.adapted.new_zeros(())
    scores = listener.ctc(heard.adapted[rows]).float().log_softmax(-1).transpose(0, 1)
    blank = scores.shape[-1] - 1
    return nn.functional.ctc_loss(
        scores,
        torch.tensor([t for i in rows for t in targets[i]], device=scores.device),
        heard.tokens[rows],
        torch.tensor([len(targets[i]) for i in rows]),
        blank=blank,
        reduction="sum",
        zero_infinity=True,
    )
