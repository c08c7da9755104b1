"""A recipe small enough to be trained in a test: a Whisper and a language model of random weights, four kinds of
sound."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from otoscope.audio import io
from otoscope.core.audio import Audio
from otoscope.models.devices import seeded
from otoscope.training.audiolm.network import END, make_tokenizer

RECIPE = """
[encoder]
source = "whisper"
[decoder]
source = "lm"
[[sources]]
name = "digits"
manifest = "speech.jsonl"
group = "speech"
[[sources]]
name = "events"
manifest = "sound.jsonl"
group = "sound"
[mixture.shares]
speech = 0.5
[batch]
seconds = 6.0
clips = 8
longest_s = 2.0
[optimise]
steps = 10
accumulate = 2
rate = 1e-3
adapter_rate = 1e-3
warmup = 2
average = 0.9
[run]
save_every = 5
log_every = 5
evaluate_every = 5
full_share = 0.3
"""


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders ``whisper`` and ``lm`` as the library writes them."""
    import transformers as tr

    folder = tmp_path_factory.mktemp("uniwhisper")
    config = tr.WhisperConfig(
        d_model=32, encoder_layers=2, encoder_attention_heads=2, encoder_ffn_dim=64, num_mel_bins=80,
        max_source_positions=100, decoder_layers=1, decoder_attention_heads=2, decoder_ffn_dim=64, vocab_size=64,
        max_target_positions=16, pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=1,
    )  # fmt: skip
    with seeded(0):
        tr.WhisperModel(config).save_pretrained(folder / "whisper")
    tr.WhisperFeatureExtractor(feature_size=80, chunk_length=2).save_pretrained(folder / "whisper")
    said = ["Which sound is this? dog bark rain", "Write down what is said. one two three"]
    tokenizer = make_tokenizer(said * 9, 300)
    tokenizer.eos_token = END
    with seeded(1):
        lm = tr.Qwen2ForCausalLM(
            tr.Qwen2Config(
                hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1,
                vocab_size=len(tokenizer), tie_word_embeddings=True, max_position_embeddings=512,
            )
        )  # fmt: skip
    lm.save_pretrained(folder / "lm")
    tokenizer.save_pretrained(folder / "lm")
    return folder


@pytest.fixture(scope="session")
def whole(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Whisper whose decoder knows the tokenizer of the test's language model."""
    import transformers as tr

    folder = tmp_path_factory.mktemp("own") / "whole"
    tokenizer = tr.AutoTokenizer.from_pretrained(models / "lm")
    config = tr.WhisperConfig.from_pretrained(models / "whisper")
    config.vocab_size, config.max_target_positions = len(tokenizer), 96
    with seeded(2):
        tr.WhisperModel(config).save_pretrained(folder)
    tr.WhisperFeatureExtractor.from_pretrained(models / "whisper").save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def recipe(models: Path, tmp_path: Path) -> Callable[..., Path]:
    """Writes a recipe with its data into a folder; ``changes`` replaces text of it."""
    rng = np.random.default_rng(0)
    for k in range(9):
        n = int(rng.integers(6_000, 24_000))
        io.write(tmp_path / f"{k}.wav", Audio(0.1 * rng.standard_normal((1, n)).astype(np.float32), 16_000))
    for name in ("whisper", "lm"):
        (tmp_path / name).symlink_to(models / name)

    def row(k: int, task: str, answer: Any, **more: Any) -> str:
        seconds = io.info(tmp_path / f"{k}.wav").duration_s
        told = {"key": f"{task}-{k}", "task": task, "answer": answer, "path": f"{k}.wav", "duration_s": seconds}
        return json.dumps({**told, "domain": "speech" if task == "asr" else "sound", **more})

    speech = [row(k, "asr", ("one", "two", "three")[k % 3]) for k in range(5)]
    sound = [row(k, "sound", ("dog bark", "rain")[k % 2]) for k in range(5, 8)]
    held = [row(8, "sound", "rain", split="test")]
    (tmp_path / "speech.jsonl").write_text("\n".join(speech) + "\n", encoding="utf-8")
    (tmp_path / "sound.jsonl").write_text("\n".join([*sound, *held]) + "\n", encoding="utf-8")

    def write(name: str = "small", *changes: tuple[str, str]) -> Path:
        text = RECIPE
        for old, new in changes:
            assert old in text
            text = text.replace(old, new, 1)
        path = tmp_path / f"{name}.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write
