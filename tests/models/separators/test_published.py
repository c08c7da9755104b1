"""SAM Audio's config.json: what is read, tied, ignored and refused."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import pytest

from otoscope.core.errors import ModelError
from otoscope.models.separators.dacvae import CodecConfig
from otoscope.models.separators.dit import SIZES
from otoscope.models.separators.published import sizes_of

#: A release in full, as the fact sheet describes it; ``_target_`` names the class that a part is read into.
FULL: Mapping[str, Any] = {
    "_target_": "SAMAudioConfig",
    "in_channels": 768,
    "audio_codec": {
        "_target_": "DACVAEConfig",
        "encoder_dim": 64,
        "encoder_rates": [2, 8, 10, 12],
        "latent_dim": 1024,
        "decoder_dim": 1536,
        "decoder_rates": [12, 10, 8, 2],
        "n_codebooks": 16,
        "codebook_size": 1024,
        "codebook_dim": 128,
        "quantizer_dropout": False,
        "sample_rate": 48000,
        "mean": 0.0,
        "std": 1.0,
    },
    "text_encoder": {"dim": 768, "name": "t5-base", "max_length": 512, "pad_mode": "longest"},
    "vision_encoder": {"dim": 1024, "batch_size": 300, "name": "PE-Core-L14-336", "image_size": 336},
    "transformer": {
        "dim": 1536,
        "n_heads": 12,
        "n_layers": 16,
        "dropout": 0.1,
        "norm_eps": 1e-5,
        "qk_norm": True,
        "fc_bias": False,
        "ffn_exp": 4,
        "ffn_dim_multiplier": 1,
        "multiple_of": 64,
        "non_linearity": "swiglu",
        "use_rope": True,
        "max_positions": 10000,
        "frequency_embedding_dim": 256,
        "context_dim": 1536,
        "out_channels": 256,
        "in_channels": None,
        "no_cross_attention": False,
    },
    "num_anchors": 3,
    "anchor_embedding_dim": 128,
    "text_ranker": {"rankers": [], "weights": []},
    "span_predictor": "pe-a-frame-large",
}


def changed(path: str, value: Any) -> dict[str, Any]:
    config = copy.deepcopy(dict(FULL))
    *sections, field = path.split(".")
    part = config
    for section in sections:
        part = part[section]
    part[field] = value
    return config


def test_a_release() -> None:
    sizes = sizes_of(FULL, "here")
    assert sizes.network == SIZES["base"]
    assert sizes.codec == CodecConfig()
    assert sizes.max_tokens == 512


def test_three_sizes_are_enough_and_none_of_them_is_guessed() -> None:
    small = {"dim": 1024, "n_heads": 8, "n_layers": 12}
    assert sizes_of({"transformer": small}, "here").network == SIZES["small"]
    for lacking in small:
        with pytest.raises(ModelError, match=f"lacks {lacking}"):
            sizes_of({"transformer": {k: v for k, v in small.items() if k != lacking}}, "here")
    with pytest.raises(ModelError, match="lacks dim, n_heads, n_layers"):
        sizes_of({"hidden_size": 768}, "here")


@pytest.mark.parametrize(
    ("path", "value", "ours"),
    [
        ("transformer.norm_eps", 1e-6, ("network", "eps", 1e-6)),
        ("transformer.multiple_of", 32, ("network", "multiple_of", 32)),
        ("text_encoder.dim", 1024, ("network", "text_dim", 1024)),
        ("vision_encoder.dim", 512, ("network", "video_dim", 512)),
        ("anchor_embedding_dim", 64, ("network", "anchor_dim", 64)),
        ("audio_codec.encoder_dim", 32, ("codec", "encoder_dim", 32)),
        ("audio_codec.sample_rate", 24000, ("codec", "rate", 24000)),
    ],
)
def test_fields_that_are_read(path: str, value: Any, ours: tuple[str, str, Any]) -> None:
    part, field, wanted = ours
    assert getattr(getattr(sizes_of(changed(path, value), "here"), part), field) == wanted


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("transformer.qk_norm", False, "qk_norm is False"),
        ("transformer.non_linearity", "gelu", "non_linearity"),
        ("transformer.context_dim", 768, "context_dim is 768"),
        ("transformer.out_channels", 128, "out_channels is 128"),
        ("transformer.in_channels", 256, "in_channels is 256"),
        ("transformer.n_kv_heads", 4, "n_kv_heads"),
        ("in_channels", 512, "in_channels is 512, implemented is 768"),
        ("num_anchors", 5, "num_anchors is 5"),
        ("transformer.window", 7, r"not known here: transformer\.window"),
        ("reverb", True, "not known here: reverb"),
        ("audio_codec.codebook_dim", 64, "implemented is 384"),
        ("transformer.n_heads", 7, "heads of even size"),
        ("transformer", 3, "transformer is no object"),
    ],
)
def test_fields_that_mean_another_network(path: str, value: Any, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        sizes_of(changed(path, value), "here")
