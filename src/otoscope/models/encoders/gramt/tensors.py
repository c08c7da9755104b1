"""Names and shapes of GRAM-T's published tensors, and where each goes in ours."""

from __future__ import annotations

from otoscope.models.encoders.gramt.network import Config
from otoscope.models.encoders.tensor_map import Source, TensorMap

#: Variants whose names, shapes and embeddings were compared with the public repository.
VERIFIED = frozenset({"patch", "time"})

_DECODER = "the decoder serves training only"
_FRONT = "the front end is computed from its formula"

#: Before every name: nothing (training checkpoint), ``model.`` (the hub's file), or what saving the hub's wrapper adds.
PREFIXES = ("model.", "", "encoder.model.")

_OWN = r"(?:encoder\.)?(?:model\.)?"
IGNORED = (
    (_OWN + r"(decoder_embed|decoder_blocks|decoder_norm|spec_pred)\..*", _DECODER),
    (_OWN + r"(mask_token|decoder_pos_embed)", _DECODER),
    (_OWN + r"(mel_spec\.)?melspec\.(spectrogram\.window|mel_scale\.fb)", _FRONT),
)


def gramt_map(config: Config, variant: str) -> TensorMap:
    """The map for one set of sizes; ``variant`` names it."""
    low, time = config.grid
    d, hidden = config.width, config.hidden
    tensors = {
        "cls": Source("cls_token", (1, 1, d)),
        "positions": Source("encoder.pos_embedding", (1, 1 + low * time, d)),
        "patches.weight": Source("patch_embed.proj.weight", (d, 2, *config.patch)),
        "patches.bias": Source("patch_embed.proj.bias", (d,)),
        "norm.weight": Source("encoder.ln.weight", (d,)),
        "norm.bias": Source("encoder.ln.bias", (d,)),
    }
    parts: dict[str, tuple[str, tuple[int, ...], tuple[int, ...]]] = {
        "norm1": ("ln_1.", (d,), (d,)),
        "attention.qkv": ("self_attention.in_proj_", (3 * d, d), (3 * d,)),
        "attention.out": ("self_attention.out_proj.", (d, d), (d,)),
        "norm2": ("ln_2.", (d,), (d,)),
        "expand": ("mlp.0.", (hidden, d), (hidden,)),
        "shrink": ("mlp.3.", (d, hidden), (d,)),
    }
    for i in range(config.depth):
        for ours, (theirs, weight, bias) in parts.items():
            base = f"encoder.layers.encoder_layer_{i}.{theirs}"
            tensors[f"blocks.{i}.{ours}.weight"] = Source(f"{base}weight", weight)
            tensors[f"blocks.{i}.{ours}.bias"] = Source(f"{base}bias", bias)
    return TensorMap(f"gram-t {variant}", tensors, IGNORED, PREFIXES, variant in VERIFIED)
