"""Architectures of published checkpoints of ``transformers``, as data: for random weights without a single file.

Only what differs from the defaults of the library's config class is listed. ``init=random`` of a name listed here uses
these figures and never looks for files, so a random twin is the same on every machine; with ``path=`` or ``revision=``
the files' own config counts. Sizes are facts of the papers and model pages; the tests hold parameter counts against
published sizes.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

_LARGE: Mapping[str, Any] = MappingProxyType(
    {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096}
)
#: Norm before attention, and a norm after every convolution: what the models trained on Libri-Light have.
_STABLE: Mapping[str, Any] = MappingProxyType({"do_stable_layer_norm": True, "feat_extract_norm": "layer"})


def _dac(rate: int, ratios: list[int], codebooks: int) -> dict[str, Any]:
    return {
        "sampling_rate": rate,
        "encoder_hidden_size": 64,
        "downsampling_ratios": ratios,
        "decoder_hidden_size": 1536,
        "upsampling_ratios": ratios[::-1],
        "n_codebooks": codebooks,
    }


#: Short name -> what its config says besides the defaults of its class (the card names the class: ``model_type``).
CONFIGS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "hubert-large": {**_LARGE, **_STABLE, "conv_bias": True},
        "wavlm-large": {**_LARGE, **_STABLE, "conv_bias": False},
        "wav2vec2-large": {**_LARGE, "do_stable_layer_norm": False, "feat_extract_norm": "group", "conv_bias": False},
        "wav2vec2-large-lv60": {**_LARGE, **_STABLE, "conv_bias": True},
        "encodec-48khz": {
            "sampling_rate": 48_000,
            "audio_channels": 2,
            "normalize": True,
            "chunk_length_s": 1.0,
            "overlap": 0.01,
            "norm_type": "time_group_norm",
            "use_causal_conv": False,
            "target_bandwidths": [3.0, 6.0, 12.0, 24.0],
        },
        "encodec-24khz": {},
        "dac": _dac(16_000, [2, 4, 5, 8], 12),
        "dac-24khz": _dac(24_000, [2, 4, 5, 8], 32),
        "dac-44khz": _dac(44_100, [2, 4, 8, 8], 9),
        "mimi": {},
    }
)


def published_config(name: str, model_type: str) -> dict[str, Any] | None:
    """The config of the checkpoint with this short name, with its ``model_type``; None where none is listed."""
    found = CONFIGS.get(name)
    return None if found is None else {"model_type": model_type, **found}
