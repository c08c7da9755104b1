"""The tiny audio language model: Audio Flamingo 3's classes at a small size, its tokenizer, its folder of files.

Windows of 5 s, a frame every 20 ms, 62 tokens a window. Weights start as the training notes found necessary: wider
than the library's, with the position table turned down, so that the sound is heard above it. Ours.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from otoscope.models.devices import seeded

MELS, HOP, WINDOW_S = 80, 320, 5
PLACEHOLDER, END = "<sound>", "<|im_end|>"
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'audio' %}<sound>{% elif 'text' in part %}{{ part['text'] }}{% endif %}{% endfor %}"
    "{% endif %}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def make_tokenizer(texts: Sequence[str], size: int = 512) -> Any:
    """A byte-level BPE tokenizer of at most ``size`` learned tokens."""
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    learner = Tokenizer(models.BPE())
    learner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, show_progress=False)
    learner.train_from_iterator(texts, trainer)
    model = json.loads(learner.to_str())["model"]
    merges: Any = [tuple(pair) for pair in model["merges"]]
    tokenizer = transformers.Qwen2Tokenizer(vocab=model["vocab"], merges=merges)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", END, PLACEHOLDER]})
    tokenizer.padding_side = "left"
    tokenizer.chat_template = TEMPLATE
    return tokenizer


def make_extractor() -> Any:
    import transformers

    return transformers.WhisperFeatureExtractor(
        feature_size=MELS, hop_length=HOP, chunk_length=WINDOW_S, n_fft=512, return_attention_mask=True
    )


def make_network(tokenizer: Any, width: int, tower_layers: int, text_layers: int, heads: int, seed: int) -> Any:
    """Fresh weights; equal seeds give equal ones."""
    import transformers as tr

    audio = tr.AudioFlamingo3EncoderConfig(
        num_mel_bins=MELS,
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=tower_layers,
        num_attention_heads=heads,
        max_source_positions=WINDOW_S * 16_000 // HOP // 2,
    )
    text = tr.Qwen2Config(
        hidden_size=width,
        intermediate_size=5 * width // 2,
        num_hidden_layers=text_layers,
        num_attention_heads=heads,
        num_key_value_heads=heads // 2,
        max_position_embeddings=16_384,
        tie_word_embeddings=False,
        vocab_size=len(tokenizer),
    )
    config = tr.AudioFlamingo3Config(
        audio_config=audio, text_config=text, audio_token_id=tokenizer.convert_tokens_to_ids(PLACEHOLDER)
    )
    with seeded(seed):
        network = tr.AudioFlamingo3ForConditionalGeneration(config)
        start_weights(network, tower_layers, text_layers)
    end = tokenizer.convert_tokens_to_ids(END)
    network.generation_config.eos_token_id = end
    network.generation_config.pad_token_id = end
    return network


def start_weights(network: Any, tower_layers: int, text_layers: int) -> None:
    """Linear maps at 1 / sqrt(inputs), those that write to the residual stream smaller by the root of twice their
    number, convolutions after Kaiming, the position table at 0.3."""
    for name, module in network.named_modules():
        if isinstance(module, nn.Linear):
            std = module.in_features**-0.5
            if name.endswith(("o_proj", "down_proj")):
                std /= math.sqrt(2 * text_layers)
            elif name.endswith(("out_proj", "fc2")):
                std /= math.sqrt(2 * tower_layers)
            nn.init.normal_(module.weight, std=std)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Conv1d):
            nn.init.kaiming_normal_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            if name.endswith("embed_positions"):
                module.weight.data.mul_(0.3)
            else:
                nn.init.normal_(module.weight, std=0.5)


def padded(windows: Sequence[Any]) -> tuple[Tensor, Tensor]:
    """Windows side by side ``[W, n]``, silence after each, and the mask of their frames."""
    size = WINDOW_S * 16_000
    samples = torch.zeros(len(windows), size)
    mask = torch.zeros(len(windows), size // HOP, dtype=torch.long)
    for i, window in enumerate(windows):
        samples[i, : len(window)] = torch.from_numpy(window)
        mask[i, : -(-len(window) // HOP)] = 1
    return samples, mask


def features(extractor: Any, samples: Tensor, device: torch.device) -> Tensor:
    """Log-mel ``[W, mels, frames]``, by the extractor's own function on ``device``."""
    return torch.as_tensor(extractor._torch_extract_fbank_features(samples.numpy(), str(device)), device=device)


def write_folder(folder: Path, network: Any, tokenizer: Any, extractor: Any) -> None:
    """All files of the checkpoint, weights in float16, as the library reads them."""
    import copy

    folder.mkdir(parents=True, exist_ok=True)
    copy.deepcopy(network).half().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    extractor.save_pretrained(folder)
    (folder / "chat_template.jinja").write_text(TEMPLATE, encoding="utf-8")


def read_folder(folder: Path) -> tuple[dict[str, Tensor], Any]:
    """The weights that :func:`write_folder` wrote, in float32, and the tokenizer beside them."""
    import transformers as tr

    network = tr.AudioFlamingo3ForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    tokenizer = tr.AutoTokenizer.from_pretrained(folder)
    for how in ("is_local", "local_files_only"):  # of this reading, and the library would write it into the next folder
        tokenizer.init_kwargs.pop(how, None)
    return dict(network.state_dict()), tokenizer
