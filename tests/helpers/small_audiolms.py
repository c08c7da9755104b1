"""Small random checkpoints of the five families of audio language models, written as the published folders are: config,
safetensors, generation config, feature extractor, tokenizer, chat template. One function per family; the same ``seed``
gives the same weights.

Sizes are tiny, limits are not: clips are cut at 30 s, a second of sound is 25 tokens (12.5 in Voxtral and Phi-4), as in
the originals. Weights are drawn wider than the library does, so that the answer depends on the sound.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

#: What the tokenizers have learned from.
_TEXT = (
    "what do you hear in this recording? answer with one letter. a dog barks, a woman speaks, rain falls.",
    "transcribe the speech. the speaker is happy. the speaker is sad. is the voice real or fake?",
)
#: The decoder, whatever it is called.
DECODER: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 8192,
    "tie_word_embeddings": False,
}
#: Mel bands of the Whisper extractors.
MELS = 16
_WHISPER: dict[str, Any] = {
    "num_mel_bins": MELS,
    "d_model": 16,
    "encoder_layers": 1,
    "encoder_attention_heads": 2,
    "encoder_ffn_dim": 64,  # four times d_model, which Voxtral's projector relies on
    "max_source_positions": 1500,
}
_CHATML = (
    "{% for message in messages %}{% if loop.first and message['role'] != 'system' %}"
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n{% endif %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'audio' %}AUDIO{% elif 'text' in part %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_PHI = (
    "{% for message in messages %}<|{{ message['role'] }}|>"
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for part in message['content'] %}{% if part['type'] == 'audio' %}<|audio|>{% elif 'text' in part %}"
    "{{ part['text'] }}{% endif %}{% endfor %}{% endif %}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def write_qwen2_audio(folder: Path, seed: int = 0) -> Path:
    """Qwen2-Audio: one Whisper window of 30 s per clip."""
    import transformers as tr

    tokenizer = qwen_tokenizer(["<|AUDIO|>", "<|audio_bos|>", "<|audio_eos|>"])
    audio = tr.Qwen2AudioEncoderConfig(**_WHISPER)
    text = tr.Qwen2Config(**DECODER, vocab_size=len(tokenizer))
    config = tr.Qwen2AudioConfig(
        audio_config=audio, text_config=text, audio_token_index=tokenizer.convert_tokens_to_ids("<|AUDIO|>")
    )
    template = _CHATML.replace("AUDIO", "<|audio_bos|><|AUDIO|><|audio_eos|>\n")
    processor = tr.Qwen2AudioProcessor(_extractor(30), tokenizer, chat_template=template)
    return _write(folder, seed, lambda: tr.Qwen2AudioForConditionalGeneration(config), processor, tokenizer)


def write_qwen2_5_omni(folder: Path, seed: int = 0) -> Path:
    """Qwen2.5-Omni as published: the whole model's config, weights under ``thinker.``, an extractor of 300 s. The
    talker is left out (``enable_audio_output``), the image parts of the processor too."""
    import transformers as tr

    special = ["<|AUDIO|>", "<|audio_bos|>", "<|audio_eos|>", "<|IMAGE|>", "<|VIDEO|>", "<|vision_bos|>"]
    special += ["<|vision_eos|>"]
    named = dict(
        zip(("audio", "audio_bos", "audio_eos", "image", "video", "vision_bos", "vision_eos"), special, strict=1)
    )
    tokenizer = qwen_tokenizer(special, {f"{name}_token": token for name, token in named.items()})
    number = {name: tokenizer.convert_tokens_to_ids(token) for name, token in named.items()}
    half = DECODER["hidden_size"] // DECODER["num_attention_heads"] // 2
    rope = {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [half // 4, half * 3 // 8, half * 3 // 8]}
    thinker = tr.Qwen2_5OmniThinkerConfig(
        audio_config={**_WHISPER, "output_dim": DECODER["hidden_size"], "n_window": 100},
        vision_config={
            "depth": 1,
            "hidden_size": 16,
            "intermediate_size": 16,
            "num_heads": 2,
            "out_hidden_size": DECODER["hidden_size"],
            "fullatt_block_indexes": [0],
        },
        text_config={**DECODER, "vocab_size": len(tokenizer), "rope_parameters": rope},
        audio_token_index=number["audio"],
        image_token_index=number["image"],
        video_token_index=number["video"],
        audio_start_token_id=number["audio_bos"],
        audio_end_token_id=number["audio_eos"],
        vision_start_token_id=number["vision_bos"],
        vision_end_token_id=number["vision_eos"],
    )
    config = tr.Qwen2_5OmniConfig(thinker_config=thinker.to_dict(), enable_audio_output=False)
    tokenizer.chat_template = _CHATML.replace("AUDIO", "<|audio_bos|><|AUDIO|><|audio_eos|>")
    return _write(folder, seed, lambda: tr.Qwen2_5OmniForConditionalGeneration(config), _extractor(300), tokenizer)


def write_voxtral(folder: Path, seed: int = 0) -> Path:
    """Voxtral: windows of 30 s that are padded with silence, and Mistral's own tokenizer file."""
    import transformers as tr

    size = write_tekken(folder)
    audio = tr.VoxtralEncoderConfig(
        num_mel_bins=MELS,
        hidden_size=16,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_source_positions=1500,
    )
    text = tr.LlamaConfig(**DECODER, vocab_size=size, head_dim=16)
    config = tr.VoxtralConfig(audio_config=audio, text_config=text, audio_token_id=24)
    return _write(folder, seed, lambda: tr.VoxtralForConditionalGeneration(config), _extractor(30), None)


def write_audioflamingo3(folder: Path, seed: int = 0) -> Path:
    """Audio Flamingo 3: windows of 30 s, at most 600 s, one clip per prompt."""
    import transformers as tr

    tokenizer = qwen_tokenizer(["<sound>"])
    audio = tr.AudioFlamingo3EncoderConfig(
        num_mel_bins=MELS,
        hidden_size=16,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_source_positions=1500,
    )
    text = tr.Qwen2Config(**DECODER, vocab_size=len(tokenizer))
    config = tr.AudioFlamingo3Config(
        audio_config=audio, text_config=text, audio_token_id=tokenizer.convert_tokens_to_ids("<sound>")
    )
    template = _CHATML.replace("AUDIO", "<sound>")
    processor = tr.AudioFlamingo3Processor(_extractor(30), tokenizer, chat_template=template)
    return _write(folder, seed, lambda: tr.AudioFlamingo3ForConditionalGeneration(config), processor, tokenizer)


def write_phi4_multimodal(folder: Path, seed: int = 0) -> Path:
    """Phi-4-Multimodal: its own extractor without a limit, a conformer that takes 500 frames at a time, fused
    projections, partial rotary embeddings."""
    import transformers as tr

    special = ["<|audio|>", "<|image|>", "<|user|>", "<|assistant|>", "<|system|>", "<|end|>"]
    tokenizer = _bytes_tokenizer(special, {"audio_token": "<|audio|>", "image_token": "<|image|>"})
    number = tokenizer.convert_tokens_to_ids
    config = tr.Phi4MultimodalConfig(
        **DECODER,
        vocab_size=len(tokenizer),
        original_max_position_embeddings=4096,
        rope_parameters={"rope_type": "default", "rope_theta": 10_000.0, "partial_rotary_factor": 0.75},
        bos_token_id=number("<|endoftext|>"),
        eos_token_id=[number("<|endoftext|>"), number("<|end|>")],
        pad_token_id=number("<|endoftext|>"),
        audio_config={
            "hidden_size": 16,
            "intermediate_size": 32,
            "num_blocks": 2,
            "num_attention_heads": 2,
            "ext_pw_out_channel": 16,
            "depthwise_separable_out_channel": 16,
            "nemo_conv_channels": 16,
            "bias_max_distance": 100,
            "audio_token_id": number("<|audio|>"),
            "feature_layer": -2,
        },
        vision_config={
            "hidden_size": 16,
            "intermediate_size": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": 28,
            "crop_size": 28,
            "image_token_id": number("<|image|>"),
        },
    )
    tokenizer.chat_template = _PHI
    extractor = tr.Phi4MultimodalFeatureExtractor()
    return _write(folder, seed, lambda: _normed(tr.Phi4MultimodalForCausalLM(config)), extractor, tokenizer)


def _normed(model: Any) -> Any:
    """With the statistics of the log-mel spectrum of noise where the published weights have those of speech: without
    them all sounds are nearly one constant to the encoder."""
    norm = model.model.embed_tokens_extend.audio_embed.encoder.encoder_embedding
    torch.nn.init.constant_(norm.global_mean, 20.0)
    torch.nn.init.constant_(norm.global_invstd, 0.3)
    return model


#: One function per family, by the name of the model type.
FAMILIES: dict[str, Callable[..., Path]] = {
    "qwen2_audio": write_qwen2_audio,
    "qwen2_5_omni": write_qwen2_5_omni,
    "voxtral": write_voxtral,
    "audioflamingo3": write_audioflamingo3,
    "phi4_multimodal": write_phi4_multimodal,
}


# --- tokenizers -------------------------------------------------------------------------------------------------


def qwen_tokenizer(special: Sequence[str], named: dict[str, str] | None = None) -> Any:
    """A small ``Qwen2Tokenizer``: bytes, a few merges, ChatML's tokens and ``special``."""
    import transformers as tr

    vocab, merges = _learn()
    tokenizer = tr.Qwen2Tokenizer(vocab=vocab, merges=merges, extra_special_tokens=named or {})
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>", *special]})
    tokenizer.padding_side = "left"
    return tokenizer


def _bytes_tokenizer(special: Sequence[str], named: dict[str, str]) -> Any:
    import transformers as tr

    vocab, merges = _learn()
    tokenizer = tr.GPT2Tokenizer(vocab=vocab, merges=merges, pad_token="<|endoftext|>", extra_special_tokens=named)
    tokenizer.add_special_tokens({"additional_special_tokens": list(special)})
    return tokenizer


def _learn(size: int = 300) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Byte-level BPE over a few sentences."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    learner = Tokenizer(models.BPE())
    learner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=size, initial_alphabet=sorted(alphabet), show_progress=False)
    learner.train_from_iterator(_TEXT, trainer)
    model = json.loads(learner.to_str())["model"]
    return model["vocab"], [tuple(pair) for pair in model["merges"]]


def write_tekken(folder: Path) -> int:
    """A small ``tekken.json``, special tokens where the published file has them. Returns the size of the vocabulary."""
    names = dict(enumerate(_MISTRAL.split()))
    special = [{"rank": i, "token_str": names.get(i, f"<SPECIAL_{i}>"), "is_control": True} for i in range(40)]
    plain = [bytes([i]) for i in range(256)] + [b" t", b"he", b" the", b" a", b"in", b"er"]
    words = [
        {"rank": i, "token_bytes": base64.b64encode(b).decode(), "token_str": b.decode("utf-8", "replace")}
        for i, b in enumerate(plain)
    ]
    size = len(special) + len(words)
    config = {
        "pattern": r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        "num_vocab_tokens": len(words),
        "default_vocab_size": size,
        "default_num_special_tokens": len(special),
        "version": "v7",
    }
    audio = {
        "sampling_rate": 16000,
        "frame_rate": 12.5,
        "audio_encoding_config": {"num_mel_bins": MELS, "window_size": 400, "hop_length": 160},
        "chunk_length_s": 30.0,
    }
    folder.mkdir(parents=True, exist_ok=True)
    whole = {"config": config, "vocab": words, "special_tokens": special, "audio": audio}
    (folder / "tekken.json").write_text(json.dumps(whole))
    return size


#: Mistral's special tokens in their order, as far as audio needs them; the rest of forty are numbered.
_MISTRAL = (
    "<unk> <s> </s> [INST] [/INST] [AVAILABLE_TOOLS] [/AVAILABLE_TOOLS] [TOOL_RESULTS] [/TOOL_RESULTS] [TOOL_CALLS] "
    "[IMG] <pad> [IMG_BREAK] [IMG_END] [PREFIX] [MIDDLE] [SUFFIX] [SYSTEM_PROMPT] [/SYSTEM_PROMPT] [TOOL_CONTENT] "
    "<SPECIAL_20> <SPECIAL_21> <SPECIAL_22> <SPECIAL_23> [AUDIO] [BEGIN_AUDIO] <SPECIAL_26> <SPECIAL_27> <SPECIAL_28> "
    "<SPECIAL_29> <SPECIAL_30> <SPECIAL_31> <SPECIAL_32> <SPECIAL_33> [TRANSCRIBE]"
)


# --- writing ----------------------------------------------------------------------------------------------------


def _extractor(seconds: int) -> Any:
    import transformers as tr

    return tr.WhisperFeatureExtractor(feature_size=MELS, chunk_length=seconds, return_attention_mask=True)


def _write(folder: Path, seed: int, make: Callable[[], Any], processor: Any, tokenizer: Any) -> Path:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = make().eval()
        for parameter in model.parameters():
            if parameter.ndim > 1:
                torch.nn.init.normal_(parameter, std=1.5 * parameter[0].numel() ** -0.5)
        heart = getattr(model, "thinker", model)
        configs = (heart.config, getattr(heart.config, "audio_config", None))
        ids = [i for i in (getattr(c, "audio_token_id", None) for c in configs) if i is not None]
        with torch.no_grad():  # a trained model never says that it hears; a random one may, and Phi-4's then fails
            heart.lm_head.weight[ids] = 0.0
    end = 2 if tokenizer is None else sorted(i for t, i in tokenizer.get_vocab().items() if t in _ENDS)
    model.generation_config.eos_token_id = end
    model.generation_config.pad_token_id = 11 if tokenizer is None else tokenizer.pad_token_id
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    if tokenizer is not None:
        tokenizer.save_pretrained(folder)
    return folder


_ENDS = ("<|im_end|>", "<|endoftext|>", "<|end|>")
