"""A tiny WavJEPA-Nat checkpoint under the published names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from otoscope.models.encoders.wavjepa.network import Sizes

#: 10 tokens of 160 samples in windows of 1760 samples.
SIZES = Sizes(convs=((8, 10, 5), *(((8, 3, 2),) * 4), (8, 2, 2)), width=16, heads=4, depth=2, hidden=32, window=1_760)


def published(seed: int = 0) -> dict[str, np.ndarray]:
    """Random tensors with the published names, training-only ones included."""
    rng = np.random.default_rng(seed)
    s = SIZES
    out: dict[str, np.ndarray] = {}

    def draw(name: str, *shape: int, around: float = 0.0) -> None:
        scale = 1.0 / np.sqrt(max(1, np.prod(shape[1:])))
        out[name] = (around + scale * rng.standard_normal(shape)).astype(np.float32)

    for ear in (0, 1):
        before = 1
        for i, (channels, kernel, _) in enumerate(s.convs):
            draw(f"extract_audio.cnns.{ear}.{i}.0.weight", channels, before, kernel)
            before = channels
        draw(f"extract_audio.cnns.{ear}.0.2.weight", s.convs[0][0], around=1.0)
        draw(f"extract_audio.cnns.{ear}.0.2.bias", s.convs[0][0])
    draw("feature_norms.weight", before, around=1.0)
    draw("feature_norms.bias", before)
    draw("post_extraction_mapper.weight", s.width, before)
    draw("post_extraction_mapper.bias", s.width)
    draw("pos_encoding_encoder", 1, 2 * s.steps, s.width)
    for stack in ("encoder", "teacher_encoder"):
        for i in range(s.depth):
            at = f"{stack}.layers.{i}"
            draw(f"{at}.self_attn.in_proj_weight", 3 * s.width, s.width)
            draw(f"{at}.self_attn.in_proj_bias", 3 * s.width)
            draw(f"{at}.self_attn.out_proj.weight", s.width, s.width)
            draw(f"{at}.self_attn.out_proj.bias", s.width)
            draw(f"{at}.linear1.weight", s.hidden, s.width)
            draw(f"{at}.linear1.bias", s.hidden)
            draw(f"{at}.linear2.weight", s.width, s.hidden)
            draw(f"{at}.linear2.bias", s.width)
            for norm in ("norm1", "norm2"):
                draw(f"{at}.{norm}.weight", s.width, around=1.0)
                draw(f"{at}.{norm}.bias", s.width)
        draw(f"{stack}.norm.weight", s.width, around=1.0)
        draw(f"{stack}.norm.bias", s.width)
    draw("mask_token", 1, 1, 8)
    draw("decoder.layers.0.linear1.weight", 8, 8)
    draw("encoder_to_decoder_mapper.weight", 8, s.width)
    return out


@pytest.fixture
def tensors() -> dict[str, np.ndarray]:
    return published()


@pytest.fixture
def write(tmp_path: Path):
    """Write tensors as a checkpoint and give its path."""

    def make(tensors: dict[str, np.ndarray]) -> str:
        save_file(tensors, tmp_path / "model.safetensors")
        return str(tmp_path / "model.safetensors")

    return make


@pytest.fixture
def sizes() -> Sizes:
    return SIZES
