"""Small random checkpoints, written as a user's would be, once per session and only those that are asked for."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from otoscope.core.audio import Audio

_SSL: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "conv_dim": (16,) * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
    "vocab_size": 8,
}
_DAC: dict[str, Any] = {
    "encoder_hidden_size": 4,
    "decoder_hidden_size": 32,
    "hidden_size": 16,
    "n_codebooks": 2,
    "codebook_size": 16,
    "codebook_dim": 4,
    "sampling_rate": 16000,
}
_ENCODEC: dict[str, Any] = {
    "num_filters": 4,
    "hidden_size": 16,
    "codebook_size": 16,
    "codebook_dim": 16,
    "num_lstm_layers": 1,
    "target_bandwidths": [3.0, 6.0],
}


def _wav2vec2(tr: Any) -> tuple[Any, Any]:
    return tr.Wav2Vec2Model(tr.Wav2Vec2Config(**_SSL)), tr.Wav2Vec2FeatureExtractor(do_normalize=True)


def _wav2vec2_stable(tr: Any) -> tuple[Any, Any]:
    config = tr.Wav2Vec2Config(**_SSL, feat_extract_norm="layer", do_stable_layer_norm=True, conv_bias=True)
    return tr.Wav2Vec2Model(config), tr.Wav2Vec2FeatureExtractor(do_normalize=False)


def _wav2vec2_ctc(tr: Any) -> tuple[Any, Any]:
    return tr.Wav2Vec2ForCTC(tr.Wav2Vec2Config(**_SSL)), tr.Wav2Vec2FeatureExtractor(do_normalize=True)


def _hubert(tr: Any) -> tuple[Any, Any]:
    return tr.HubertModel(tr.HubertConfig(**_SSL)), tr.Wav2Vec2FeatureExtractor(do_normalize=True)


def _wavlm(tr: Any) -> tuple[Any, Any]:
    return tr.WavLMModel(tr.WavLMConfig(**_SSL)), tr.Wav2Vec2FeatureExtractor(do_normalize=False)


def _data2vec(tr: Any) -> tuple[Any, Any]:
    return tr.Data2VecAudioModel(tr.Data2VecAudioConfig(**_SSL)), tr.Wav2Vec2FeatureExtractor(do_normalize=True)


def _whisper(tr: Any) -> tuple[Any, Any]:
    config = tr.WhisperConfig(
        d_model=32,
        encoder_layers=2,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=64,
        decoder_ffn_dim=64,
        vocab_size=50,
        max_source_positions=100,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=1,
        suppress_tokens=None,
        begin_suppress_tokens=None,
    )
    return tr.WhisperForConditionalGeneration(config), tr.WhisperFeatureExtractor(chunk_length=2)


def _ast(tr: Any) -> tuple[Any, Any]:
    config = tr.ASTConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_length=128,
        num_mel_bins=64,
    )
    return tr.ASTForAudioClassification(config), tr.ASTFeatureExtractor(max_length=128, num_mel_bins=64)


def _encodec48(tr: Any) -> tuple[Any, Any]:
    config = tr.EncodecConfig(
        **_ENCODEC,
        sampling_rate=48000,
        audio_channels=2,
        normalize=True,
        chunk_length_s=1.0,
        overlap=0.01,
        use_causal_conv=False,
        norm_type="time_group_norm",
    )
    extractor = tr.EncodecFeatureExtractor(feature_size=2, sampling_rate=48000, chunk_length_s=1.0, overlap=0.01)
    return tr.EncodecModel(config), extractor


def _encodec24(tr: Any) -> tuple[Any, Any]:
    config = tr.EncodecConfig(**_ENCODEC, sampling_rate=24000, audio_channels=1, normalize=False)
    return tr.EncodecModel(config), tr.EncodecFeatureExtractor(feature_size=1, sampling_rate=24000)


def _dac(tr: Any) -> tuple[Any, Any]:
    model = tr.DacModel(tr.DacConfig(**_DAC, downsampling_ratios=[2, 4, 5, 8], upsampling_ratios=[8, 5, 4, 2]))
    return model, tr.DacFeatureExtractor(sampling_rate=16000, hop_length=320)


def _mimi(tr: Any) -> tuple[Any, Any]:
    config = tr.MimiConfig(
        hidden_size=32,
        num_filters=4,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=16,
        intermediate_size=64,
        codebook_size=16,
        codebook_dim=16,
        vector_quantization_hidden_dimension=16,
        num_quantizers=2,
        num_semantic_quantizers=1,
        upsample_groups=32,
        sliding_window=50,
    )
    return tr.MimiModel(config), tr.EncodecFeatureExtractor(feature_size=1, sampling_rate=24000)


def _xcodec(tr: Any) -> tuple[Any, Any]:
    config = tr.XcodecConfig(
        acoustic_model_config=tr.DacConfig(**_DAC, downsampling_ratios=[8, 5, 4, 2], upsampling_ratios=[8, 5, 4, 2]),
        semantic_model_config=tr.HubertConfig(**_SSL),
        codebook_size=16,
        target_bandwidths=[0.5, 1],
    )
    return tr.XcodecModel(config), tr.DacFeatureExtractor(sampling_rate=16000, hop_length=320)


def _wav2vec2_bert(tr: Any) -> tuple[Any, Any]:
    config = tr.Wav2Vec2BertConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        feature_projection_input_dim=160,
        conv_depthwise_kernel_size=7,
    )
    return tr.Wav2Vec2BertModel(config), tr.SeamlessM4TFeatureExtractor()


_BUILDERS: dict[str, Callable[[Any], tuple[Any, Any]]] = {
    name.removeprefix("_"): builder
    for name, builder in list(globals().items())
    if name.startswith("_") and callable(builder)
}


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """``checkpoint("hubert")``: the folder of a small random network of that family, with its feature extractor."""
    import torch
    import transformers
    from transformers.utils import logging

    torch.set_num_threads(1)  # the networks are tiny; threads only get in each other's way
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    made: dict[str, Path] = {}

    def build(family: str) -> Path:
        if family not in made:
            folder = tmp_path_factory.mktemp(family)
            with torch.random.fork_rng():
                torch.manual_seed(7)
                model, extractor = _BUILDERS[family](transformers)
            model.save_pretrained(folder)
            extractor.save_pretrained(folder)
            made[family] = folder
        return made[family]

    return build


@pytest.fixture(scope="session")
def noise() -> Callable[..., Audio]:
    """``noise(seed, seconds, rate, channels)``."""

    def make(seed: int = 0, seconds: float = 0.5, rate: int = 16000, channels: int = 2) -> Audio:
        x = np.random.default_rng(seed).standard_normal((channels, round(seconds * rate)))
        return Audio((0.1 * x).astype(np.float32), rate)

    return make


@pytest.fixture
def change_json() -> Callable[..., None]:
    """``change_json(path, key=value)``: rewrite keys of a JSON file."""

    def change(path: Path, **values: Any) -> None:
        path.write_text(json.dumps({**json.loads(path.read_text()), **values}))

    return change
