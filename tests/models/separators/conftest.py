"""The velocity field in float64 numpy, written from the fact sheet alone and with loops where the network has none."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from otoscope.models.separators.dit import DiTConfig, FlowNetwork

Array = NDArray[np.float64]

#: The fact sheet's tiny network (346,658 parameters with everything).
TINY = DiTConfig(
    dim=64,
    heads=4,
    layers=4,
    latent=8,
    text_dim=24,
    video_dim=16,
    anchor_dim=8,
    frequencies=32,
    multiple_of=8,
    max_positions=256,
)


def scrambled(config: DiTConfig, seed: int = 0) -> FlowNetwork:
    """A network none of whose weights is at a value that hides a mistake: no closed gate, no norm of ones."""
    torch.manual_seed(seed)
    network = FlowNetwork(config).eval()
    with torch.no_grad():
        for name, p in network.named_parameters():
            scale = p.shape[-1] ** -0.5 if p.ndim > 1 else 0.3
            p.copy_(torch.randn_like(p) * scale + float("norm" in name and name.endswith("weight")))
    return network


@pytest.fixture
def tiny() -> DiTConfig:
    return TINY


@pytest.fixture
def network() -> FlowNetwork:
    return scrambled(TINY)


@pytest.fixture(scope="session")
def tiny_files() -> Any:
    """The helpers of ``tiny_checkpoint.py``."""
    spec = importlib.util.spec_from_file_location("tiny_checkpoint", Path(__file__).with_name("tiny_checkpoint.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def scramble() -> Callable[..., FlowNetwork]:
    return scrambled


@pytest.fixture
def numpy_velocity() -> Callable[..., Array]:
    return velocity


def velocity(
    network: nn.Module,
    state: Array,
    time: float,
    mixture: Array,
    text: Array | None,
    anchors: NDArray[np.int64],
    video: Array,
    contiguous_heads: bool = False,
) -> Array:
    """One item, ``[T, 2 C]``, no padding."""
    w = {k: v.detach().double().numpy() for k, v in network.state_dict().items()}
    c: DiTConfig = network.config  # type: ignore[assignment]
    x = np.concatenate([state, np.zeros_like(state), mixture], 1) @ w["proj.weight"].T + w["proj.bias"]
    seen = video @ w["align_masked_video.conv.weight"][:, :, 0].T + w["align_masked_video.conv.bias"]
    centred = seen - seen.mean(1, keepdims=True)
    seen = centred / np.sqrt((centred**2).mean(1, keepdims=True) + 1e-5)
    seen = seen * w["align_masked_video.layer_norm.weight"] + w["align_masked_video.layer_norm.bias"]
    x = x + np.tanh(w["align_masked_video.gate"]) * seen
    x = (
        x
        + np.tanh(w["embed_anchors.gate"]) * w["embed_anchors.embed.weight"][anchors] @ w["embed_anchors.proj.weight"].T
    )
    memory = _waves(time, c.dim)[None]
    if text is not None:
        memory = text @ w["memory_proj.weight"].T + w["memory_proj.bias"] + memory
    w = {k.removeprefix("transformer."): v for k, v in w.items() if k.startswith("transformer.")}
    h = x
    for i in (1, 2):
        h = _norm_conv(h, {k.split(f"block{i}.")[1]: v for k, v in w.items() if f"block{i}." in k})
    x = x + h
    t = _gated(_waves(time, c.frequencies)[None], w, "t_embedder.projection.")[0]
    shared = (_silu(t) @ w["t_block.weight"].T + w["t_block.bias"]).reshape(6, c.dim)
    y = _gated(memory, w, "y_embedder.projection.")
    for i in range(c.layers):
        own = {k.removeprefix(f"layers.{i}."): v for k, v in w.items() if k.startswith(f"layers.{i}.")}
        shift1, scale1, gate1, shift2, scale2, gate2 = own["scale_shift_table"] + shared
        inside = _rms(x, own["attention_norm.weight"]) * (1 + scale1) + shift1
        x = x + gate1 * _attend(inside, inside, own, "attention.", c, True, contiguous_heads)
        x = x + _attend(x, y, own, "cross_attention.", c, False, contiguous_heads)
        x = x + gate2 * _gated(_rms(x, own["ffn_norm.weight"]) * (1 + scale2) + shift2, own, "feed_forward.")
    shift, scale = w["final_layer_scale_shift_table"] + t
    return (_rms(x, w["norm.weight"]) * (1 + scale) + shift) @ w["output.weight"].T


def _attend(
    x: Array, memory: Array, w: dict[str, Array], at: str, c: DiTConfig, turned: bool, contiguous: bool
) -> Array:
    q, k, v = x @ w[at + "wq.weight"].T, memory @ w[at + "wk.weight"].T, memory @ w[at + "wv.weight"].T
    size, heads = c.dim // c.heads, []
    for head in range(c.heads):
        mine = slice(head * size, (head + 1) * size) if contiguous else slice(head, None, c.heads)
        qh, kh = _rms(q[:, mine], w[at + "q_norm.weight"]), _rms(k[:, mine], w[at + "k_norm.weight"])
        if turned:
            qh, kh = _turn(qh, c), _turn(kh, c)
        scores = np.exp(qh @ kh.T / np.sqrt(size))
        heads.append(scores / scores.sum(1, keepdims=True) @ v[:, mine])
    return np.concatenate(heads, 1) @ w[at + "wo.weight"].T


def _turn(x: Array, c: DiTConfig) -> Array:
    """Complex rotation of consecutive pairs."""
    size = x.shape[1]
    theta = max(10_000, 2 * c.max_positions)
    rates = np.array([theta ** (-2 * i / size) for i in range(size // 2)])
    pairs = (x[:, 0::2] + 1j * x[:, 1::2]) * np.exp(1j * np.arange(len(x))[:, None] * rates)
    return np.stack([pairs.real, pairs.imag], -1).reshape(x.shape)


def _norm_conv(x: Array, w: dict[str, Array]) -> Array:
    normed = (x - x.mean()) / np.sqrt(x.var() + 1e-5) * w["groupnorm.weight"] + w["groupnorm.bias"]
    padded = np.pad(_silu(normed), ((1, 1), (0, 0)))
    return sum(padded[k : k + len(x)] @ w["project.weight"][:, :, k].T for k in range(3)) + w["project.bias"]


def _waves(time: float, width: int) -> Array:
    angles = time * 10_000.0 ** (-np.arange(width // 2) / (width // 2))
    return np.concatenate([np.cos(angles), np.sin(angles)])


def _gated(x: Array, w: dict[str, Array], at: str) -> Array:
    return (_silu(x @ w[at + "w1.weight"].T) * (x @ w[at + "w3.weight"].T)) @ w[at + "w2.weight"].T


def _rms(x: Array, weight: Array) -> Array:
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-5) * weight


def _silu(x: Array) -> Array:
    return x / (1 + np.exp(-x))
