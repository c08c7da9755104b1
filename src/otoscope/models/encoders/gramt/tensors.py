"""Names of GRAM-T's published tensors, and where each goes in ours."""

from __future__ import annotations

from otoscope.models.encoders.tensor_map import TensorMap

#: (our name, published name)
RULES: tuple[tuple[str, str], ...] = (
    (r"cls", "cls_token"),
    (r"positions", "encoder.pos_embedding"),
    (r"patches\.(weight|bias)", r"patch_embed.proj.\1"),
    (r"norm\.(weight|bias)", r"encoder.ln.\1"),
    (r"blocks\.(\d+)\.norm([12])\.(weight|bias)", r"encoder.layers.encoder_layer_\1.ln_\2.\3"),
    (r"blocks\.(\d+)\.attention\.qkv\.(weight|bias)", r"encoder.layers.encoder_layer_\1.self_attention.in_proj_\2"),
    (r"blocks\.(\d+)\.attention\.out\.(weight|bias)", r"encoder.layers.encoder_layer_\1.self_attention.out_proj.\2"),
    (r"blocks\.(\d+)\.expand\.(weight|bias)", r"encoder.layers.encoder_layer_\1.mlp.0.\2"),
    (r"blocks\.(\d+)\.shrink\.(weight|bias)", r"encoder.layers.encoder_layer_\1.mlp.3.\2"),
)

_DECODER = "the decoder serves training only"
_FRONT = "the front end is computed from its formula"
IGNORED: tuple[tuple[str, str], ...] = (
    (r"(?:encoder\.)?(decoder_embed|decoder_blocks|decoder_norm|spec_pred)\..*", _DECODER),
    (r"(?:encoder\.)?(mask_token|decoder_pos_embed)", _DECODER),
    (r"(?:encoder\.)?(mel_spec\.)?melspec\.(spectrogram\.window|mel_scale\.fb)", _FRONT),
)

#: The hub's file puts ``model.`` before names, saving the hub's wrapper ``encoder.`` before that; a training checkpoint
#: has neither.
WRAPPERS = (r"^(?:encoder\.)?model\.",)


def gramt_map(variant: str) -> TensorMap:
    """The map of ``variant`` patch or time: the same names, other shapes. Names, shapes and embeddings of both were
    compared with the public repository."""
    return TensorMap(f"gram-t {variant}", RULES, IGNORED, WRAPPERS, verified=True)
