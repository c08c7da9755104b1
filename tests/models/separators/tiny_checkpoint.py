"""A tiny SAM Audio in exactly the published layout, and a tiny T5 with its tokenizer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from otoscope.models.separators.dacvae import CodecConfig, DacVae
from otoscope.models.separators.dit import DiTConfig, FlowNetwork

CODEC = CodecConfig(
    encoder_dim=4, encoder_rates=(4, 4, 4, 5), latent=16, bottleneck=8, decoder_rates=(5, 4, 4, 4), rate=48_000
)
CONFIG: dict[str, Any] = {
    "_target_": "SAMAudioConfig",
    "in_channels": 48,
    "audio_codec": {
        "encoder_dim": 4,
        "encoder_rates": [4, 4, 4, 5],
        "latent_dim": 16,
        "codebook_dim": 8,
        "decoder_rates": [5, 4, 4, 4],
        "sample_rate": 48000,
    },
    "text_encoder": {"dim": 24, "name": "t5-base", "max_length": 16},
    "vision_encoder": {"dim": 16, "name": "PE-Core-L14-336"},
    "transformer": {
        "dim": 64,
        "n_heads": 4,
        "n_layers": 4,
        "dropout": 0.1,
        "context_dim": 64,
        "out_channels": 16,
        "frequency_embedding_dim": 32,
        "multiple_of": 8,
        "max_positions": 1024,
    },
    "num_anchors": 3,
    "anchor_embedding_dim": 8,
}


def tensors(network: FlowNetwork, seed: int = 0) -> dict[str, Tensor]:
    """All tensors of a checkpoint; two that are ignored among them."""
    torch.manual_seed(seed)
    codec = DacVae(CODEC)
    state = {**network.state_dict(), **{f"audio_codec.{k}": v for k, v in codec.state_dict().items()}}
    state["vision_encoder.model.visual.proj"] = torch.randn(4, 4)
    state["vision_encoder.model.logit_scale"] = torch.tensor(1.0)
    return {k: v.clone() for k, v in state.items()}


def write(folder: Path, state: dict[str, Tensor], kind: str = "pt", config: dict[str, Any] = CONFIG) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    if kind == "pt":
        torch.save(state, folder / "checkpoint.pt")
    else:
        from safetensors.torch import save_file

        names = sorted(state)
        halves = [names] if kind == "safetensors" else [names[::2], names[1::2]]
        for i, half in enumerate(halves):
            save_file({k: state[k] for k in half}, folder / f"model-{i}.safetensors")
    return folder


def write_t5(folder: Path, width: int = 24) -> Path:
    """A random T5 encoder over single letters."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast, T5Config, T5EncoderModel

    letters = {c: i for i, c in enumerate(["<pad>", "</s>", "<unk>", *"abcdefghijklmnopqrstuvwxyz "])}
    tokenizer = Tokenizer(models.WordLevel(letters, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>")
    fast.save_pretrained(str(folder))
    torch.manual_seed(5)
    config = T5Config(vocab_size=32, d_model=width, d_kv=8, d_ff=16, num_layers=2, num_heads=2)
    T5EncoderModel(config).save_pretrained(str(folder))
    return folder


def dit() -> DiTConfig:
    from otoscope.models.separators.published import sizes_of

    return sizes_of(CONFIG, "here").network
