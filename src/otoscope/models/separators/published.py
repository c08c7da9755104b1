"""SAM Audio's ``config.json``: the sizes of the parts, and which of its fields mean something here.

Fields are those of the published configuration (arXiv 2512.18099 and its code). A field is read, or must have the one
value that is implemented, or is ignored for a known reason; any other is an error, because it could mean another
network. What is absent has its published default, but for the three sizes that no release leaves at theirs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from otoscope.core.errors import ModelError
from otoscope.models.separators.dacvae import CodecConfig
from otoscope.models.separators.dit import DiTConfig

#: Our name of each field that is read.
_TRANSFORMER = {
    "dim": "dim",
    "n_heads": "heads",
    "n_layers": "layers",
    "frequency_embedding_dim": "frequencies",
    "ffn_exp": "ffn_exp",
    "multiple_of": "multiple_of",
    "max_positions": "max_positions",
    "norm_eps": "eps",
}
_REQUIRED = ("dim", "n_heads", "n_layers")
_CODEC = {
    "encoder_dim": "encoder_dim",
    "encoder_rates": "encoder_rates",
    "latent_dim": "latent",
    "codebook_dim": "bottleneck",
    "decoder_dim": "decoder_dim",
    "decoder_rates": "decoder_rates",
    "sample_rate": "rate",
}
#: What the implementation is.
_FIXED: Mapping[str, Mapping[str, Any]] = {
    "transformer": {
        "qk_norm": True,
        "fc_bias": False,
        "ffn_dim_multiplier": 1,
        "non_linearity": "swiglu",
        "use_rope": True,
        "timestep_non_linearity": "swiglu",
        "t_block_non_linearity": "silu",
        "t_block_bias": True,
        "context_non_linearity": "swiglu",
        "context_norm": False,
        "in_channels": None,
        "no_cross_attention": False,
    },
    "text_encoder": {"pad_mode": "longest"},
    "": {"num_anchors": 3},
}
#: Of no meaning to the network in use: training's, another part's, or never read by the published code either.
_IGNORED: Mapping[str, tuple[str, ...]] = {
    "transformer": ("dropout", "context_embedder_dropout"),
    "audio_codec": ("n_codebooks", "codebook_size", "quantizer_dropout", "mean", "std"),
    "text_encoder": ("name",),
    "vision_encoder": ("batch_size", "name", "normalize_feature", "interpolation_mode", "image_size"),
    "": (
        *("visual_ranker", "text_ranker", "span_predictor"),
        *("architectures", "model_type", "torch_dtype", "dtype", "transformers_version"),
    ),
}
_SECTIONS = ("audio_codec", "text_encoder", "vision_encoder", "transformer")


@dataclass(frozen=True)
class Sizes:
    """What a ``config.json`` says."""

    network: DiTConfig
    codec: CodecConfig
    max_tokens: int = 512


def sizes_of(config: Mapping[str, Any], where: str) -> Sizes:
    """The sizes. Raises :class:`ModelError`, naming the fields, on one that is unknown, missing or not implemented."""
    parts = {name: config.get(name) or {} for name in _SECTIONS}
    for name, part in parts.items():
        if not isinstance(part, Mapping):
            raise ModelError(f"{name} is no object", where=where)
    text, video, shape = parts["text_encoder"], parts["vision_encoder"], parts["transformer"]
    lacking = [f for f in _REQUIRED if f not in shape]
    if lacking:
        raise ModelError(f"transformer lacks {', '.join(lacking)}", where=where, fix="Is it SAM Audio's config.json?")
    codec = CodecConfig(
        **{ours: _value(parts["audio_codec"][f]) for f, ours in _CODEC.items() if f in parts["audio_codec"]}
    )
    network = DiTConfig(
        **{ours: shape[f] for f, ours in _TRANSFORMER.items() if f in shape},
        latent=codec.bottleneck,
        text_dim=text.get("dim", 768),
        video_dim=video.get("dim", 1024),
        anchor_dim=config.get("anchor_embedding_dim", 128),
    )
    tied = {
        "": {"in_channels": 3 * network.channels},
        "transformer": {
            "out_channels": network.channels,
            "context_dim": network.dim,
            "n_kv_heads": network.heads,
        },
    }
    read: dict[str, tuple[str, ...]] = {
        "transformer": tuple(_TRANSFORMER),
        "audio_codec": tuple(_CODEC),
        "text_encoder": ("dim", "max_length"),
        "vision_encoder": ("dim",),
        "": ("anchor_embedding_dim", *_SECTIONS),
    }
    for name in ("", *_SECTIONS):
        wanted = {**_FIXED.get(name, {}), **tied.get(name, {})}
        _check(config if not name else parts[name], name, read[name], wanted, where)
    return Sizes(network, codec, text.get("max_length") or 512)


def _check(part: Mapping[str, Any], name: str, read: tuple[str, ...], wanted: Mapping[str, Any], where: str) -> None:
    at = f"{name}." if name else ""
    known = {*read, *wanted, *_IGNORED.get(name, ()), "_target_"}
    if strangers := sorted(set(part) - known):
        raise ModelError(
            f"has fields that are not known here: {', '.join(at + s for s in strangers)}",
            where=where,
            fix="They may mean another network; Otoscope reads the published layout of SAM Audio.",
        )
    for field, value in wanted.items():
        if field in part and part[field] != value:
            raise ModelError(f"{at}{field} is {part[field]!r}, implemented is {value!r}", where=where)


def _value(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
