"""Names of the published tensors of Spatial-AST and DSpAST, and where each goes in ours."""

from __future__ import annotations

import argparse

from otoscope.models.encoders.tensor_map import TensorMap

Pairs = tuple[tuple[str, str], ...]

#: (our name, published name), in both.
_SHARED: Pairs = (
    (r"trunk\.positions", "pos_embed"),
    (r"trunk\.patches\.(weight|bias)", r"patch_embed.proj.\1"),
    (r"trunk\.blocks\.(\d+)\.attention_norm\.(weight|bias)", r"blocks.\1.norm1.\2"),
    (r"trunk\.blocks\.(\d+)\.attention\.qkv\.(weight|bias)", r"blocks.\1.attn.qkv.\2"),
    (r"trunk\.blocks\.(\d+)\.attention\.out\.(weight|bias)", r"blocks.\1.attn.proj.\2"),
    (r"trunk\.blocks\.(\d+)\.mlp_norm\.(weight|bias)", r"blocks.\1.norm2.\2"),
    (r"trunk\.blocks\.(\d+)\.mlp_in\.(weight|bias)", r"blocks.\1.mlp.fc1.\2"),
    (r"trunk\.blocks\.(\d+)\.mlp_out\.(weight|bias)", r"blocks.\1.mlp.fc2.\2"),
    (r"front\.mel", "logmel_extractor.melW"),
    (r"front\.level_norm\.(running_mean|running_var)", r"bn.\1"),
    (r"event_norm\.(weight|bias)", r"fc_norm.\1"),
    (r"event\.(weight|bias)", r"head.\1"),
)
SPATIAL_AST: Pairs = (
    *_SHARED,
    (r"class_tokens", "cls_tokens"),
    (r"stem\.conv\.weight", "conv_downsample.0.weight"),
    (r"stem\.norm\.(weight|bias|running_mean|running_var)", r"conv_downsample.1.\1"),
    (r"distance_norm\.(weight|bias)", r"dis_norm.\1"),
    (r"direction_norm\.(weight|bias)", r"doa_norm.\1"),
    (r"(distance|azimuth|elevation)\.(weight|bias)", r"\1_head.\2"),
)


def _branch(ours: str, published: str) -> Pairs:
    """A rule for each of the three branches: from 0 here, from 1 there."""
    return tuple((ours.replace("#", str(i)), published.replace("#", str(i + 1))) for i in range(3))


DSPAST: Pairs = (
    *_SHARED,
    *_branch(r"branches\.#\.class_tokens", "cls_tokens#"),
    *_branch(r"branches\.#\.weigh\.norm\.(running_mean|running_var)", r"conv_downsample#.0.bn.\1"),
    *_branch(r"branches\.#\.weigh\.squeeze\.(weight|bias)", r"conv_downsample#.0.fc.0.\1"),
    *_branch(r"branches\.#\.weigh\.excite\.(weight|bias)", r"conv_downsample#.0.fc.2.\1"),
    *_branch(r"branches\.#\.stem\.conv\.weight", "conv_downsample#.1.weight"),
    *_branch(r"branches\.#\.stem\.norm\.(weight|bias|running_mean|running_var)", r"conv_downsample#.2.\1"),
    *_branch(r"branches\.#\.out\.(weight|bias)", r"pre_head#.\1"),
    (r"front\.difference_norm\.(running_mean|running_var)", r"bn_ild.\1"),
    (r"(distance|azimuth|elevation)\.prototypes", r"\1_head.W"),
)
#: Published tensors that nothing here reads, and why.
_IGNORED: Pairs = (
    (r"spectrogram_extractor\.conv_(real|imag)\.weight", "a windowed Fourier basis, which is computed here"),
    (r".*num_batches_tracked", "a counter of training steps"),
)
_IGNORED_DSPAST: Pairs = (
    (r"conv_downsample[123]\.0\.bn2\..*", "a norm that the published network has and never runs"),
    (r"(distance|azimuth|elevation)_head\.(s|pi)", "a scale of the training loss"),
    *_IGNORED,
)
#: Both files hold the training script's argument record beside their tensors.
_CLASSES = (argparse.Namespace,)


def spatial_ast_map() -> TensorMap:
    """Compared with the public code of Spatial-AST."""
    return TensorMap("spatial-ast", SPATIAL_AST, _IGNORED, classes=_CLASSES, verified=True)


def dspast_map(stage: int | None) -> TensorMap:
    """Compared with the public code of DSpAST. The ``stage`` of training changes weights only, but it is in the map's
    name: a file that was converted as one stage isn't taken for another."""
    return TensorMap(f"dspast stage {stage}", DSPAST, _IGNORED_DSPAST, classes=_CLASSES, verified=True)
