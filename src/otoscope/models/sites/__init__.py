"""The named places of the encoders' networks, one file per family, as data. Nothing here imports torch.

Names are shared where the thing is the same: ``block_in`` and ``block_out`` (the residual stream around a layer),
``self_q``, ``self_k``, ``self_v``, ``self_attn_map``, ``self_heads`` (inside the attention), ``self_attn_out`` and
``ffn_out`` (what a layer adds to the stream, or, where a norm follows, what goes into the sum). The separator's map is
with its network.
"""

from __future__ import annotations

from typing import Any

from otoscope.core.errors import ModelError
from otoscope.core.sites import SiteMap

#: Families with a map, for messages.
FAMILIES = (
    "audio-spectrogram-transformer",
    "dac",
    "data2vec-audio",
    "dspast",
    "encodec",
    "gram-t",
    "hubert",
    "spatial-ast",
    "tiny-binaural",
    "tiny-stereo",
    "unispeech",
    "unispeech-sat",
    "wav2vec2",
    "wavjepa-nat",
    "wavlm",
    "whisper",
)


def library_sites(config: Any, where: str) -> SiteMap:
    """The map of a network of ``transformers`` with this config. Raises :class:`ModelError` where there is none."""
    from otoscope.models.sites import ast, dac, encodec, wav2vec2, wavlm, whisper

    kind = str(config.model_type)
    if kind in wav2vec2.KINDS:
        return wav2vec2.site_map(kind, config.num_hidden_layers, getattr(config, "do_stable_layer_norm", False))
    if kind == "wavlm":
        return wavlm.site_map(config.num_hidden_layers, config.do_stable_layer_norm)
    if kind == "whisper":
        return whisper.site_map(config.encoder_layers)
    if kind == "audio-spectrogram-transformer":
        return ast.site_map(config.num_hidden_layers)
    if kind == "encodec":
        return encodec.site_map(len(config.upsampling_ratios), config.num_residual_layers)
    if kind == "dac":
        return dac.site_map(len(config.downsampling_ratios))
    raise no_map(kind, where)


def no_map(kind: str, where: str) -> ModelError:
    """What to raise for a network of a family without a map."""
    return ModelError(
        f"{kind} has no site map, so nothing can be observed or changed inside",
        where=where,
        fix=f"Families that have one: {', '.join(FAMILIES)}. A torch module of yours may bring one as .sites.",
    )
