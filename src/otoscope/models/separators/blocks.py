"""The parts of the flow-matching transformer: norms, attention with strided heads, feed-forward, modulated block.

Source: the public description of SAM Audio (arXiv 2512.18099) and the behaviour of its published code, written anew.
Parameter names are those of the published checkpoints. Shapes: ``x [B, T, d]``, memory ``y [B, S, d]``; masks are
boolean, True where something real is. Norms, rotations and sinusoids are computed in float32 and cast back.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from otoscope.core.errors import InputError

ROPE_BASE = 10_000


class RMSNorm(nn.Module):
    """``x / rms(x) * weight`` over the last axis."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        full = x.float()
        normed = full * torch.rsqrt(full.square().mean(-1, keepdim=True) + self.eps)
        return normed.to(x.dtype) * self.weight


def sinusoid(time: Tensor, width: int) -> Tensor:
    """Flow times ``[B]`` in [0, 1], unscaled -> float32 ``[B, width]``: cosines, then sines, of ``time * f``, with
    ``width / 2`` frequencies falling geometrically from 1 towards 1 / 10000."""
    half = width // 2
    falling = torch.arange(half, device=time.device, dtype=torch.float32) / half
    angles = time.float()[:, None] * torch.exp(-math.log(10_000) * falling)
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


def rope_angles(frames: int, head_dim: int, max_positions: int, device: torch.device) -> Tensor:
    """Angles ``[T, head_dim / 2]`` of the rotation at each frame: ``t * theta ** (-2 i / head_dim)`` with theta twice
    the longest length, at least 10000. Raises :class:`InputError` on more frames than the network has positions."""
    if frames > max_positions:
        raise InputError(
            f"{frames} frames are more than the {max_positions} positions of the network", fix="Use chunk_s."
        )
    theta = max(ROPE_BASE, 2 * max_positions)
    exponents = torch.arange(0, head_dim, 2, device=device, dtype=torch.float32) / head_dim
    return torch.outer(torch.arange(frames, device=device, dtype=torch.float32), theta**-exponents)


def rotate(x: Tensor, angles: Tensor) -> Tensor:
    """Turn the pairs ``(2 i, 2 i + 1)`` of ``x [B, H, T, head_dim]`` by ``angles [T, head_dim / 2]``."""
    even, odd = x.float().unflatten(-1, (-1, 2)).unbind(-1)
    cos, sin = angles.cos(), angles.sin()
    return torch.stack([even * cos - odd * sin, even * sin + odd * cos], dim=-1).flatten(-2).to(x.dtype)


class GatedProjection(nn.Module):
    """``w2(silu(w1 x) * w3 x)``, without biases: ``[.., width] -> [.., hidden] -> [.., out]``."""

    def __init__(self, width: int, hidden: int, out: int) -> None:
        super().__init__()
        self.w1 = nn.Linear(width, hidden, bias=False)
        self.w2 = nn.Linear(hidden, out, bias=False)
        self.w3 = nn.Linear(width, hidden, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.w2(functional.silu(self.w1(x)) * self.w3(x))


class Attention(nn.Module):
    """Multi-head attention with STRIDED heads: channel ``c`` of a projection is position ``c // H`` of head ``c % H``;
    the heads' results are joined head by head. Queries and keys are normalised per head before they are rotated.
    The core is one call of ``scaled_dot_product_attention``, where the intervention engine reaches it."""

    def __init__(self, dim: int, heads: int, eps: float) -> None:
        super().__init__()
        self.heads = heads
        self.wq, self.wk, self.wv, self.wo = (nn.Linear(dim, dim, bias=False) for _ in range(4))
        self.q_norm, self.k_norm = RMSNorm(dim // heads, eps), RMSNorm(dim // heads, eps)

    def split(self, x: Tensor) -> Tensor:
        """``[B, T, d] -> [B, H, T, d / H]``."""
        return x.unflatten(-1, (-1, self.heads)).permute(0, 3, 1, 2)

    def forward(self, x: Tensor, memory: Tensor, mask: Tensor | None = None, angles: Tensor | None = None) -> Tensor:
        """``mask [B, S]`` is of the memory; ``angles`` (self-attention only) rotate queries and keys alike."""
        q, k = self.q_norm(self.split(self.wq(x))), self.k_norm(self.split(self.wk(memory)))
        if angles is not None:
            q, k = rotate(q, angles), rotate(k, angles)
        keep = None if mask is None else mask[:, None, None, :]
        heard = functional.scaled_dot_product_attention(q, k, self.split(self.wv(memory)), attn_mask=keep)
        return self.wo(heard.transpose(1, 2).flatten(-2))

    def through(self, probabilities: Tensor, memory: Tensor) -> Tensor:
        """What a given map ``[B, H, T, S]`` makes of the memory's fresh values: no query and no key is computed."""
        heard = probabilities @ self.split(self.wv(memory))
        return self.wo(heard.transpose(1, 2).flatten(-2))


class Block(nn.Module):
    """Self-attention and feed-forward, modulated by time and gated; cross-attention, neither normed nor gated."""

    def __init__(self, dim: int, heads: int, hidden: int, eps: float) -> None:
        super().__init__()
        self.attention, self.cross_attention = Attention(dim, heads, eps), Attention(dim, heads, eps)
        self.feed_forward = GatedProjection(dim, hidden, dim)
        self.attention_norm, self.ffn_norm = RMSNorm(dim, eps), RMSNorm(dim, eps)
        self.scale_shift_table = nn.Parameter(torch.randn(6, dim) / dim**0.5)

    def forward(
        self, x: Tensor, memory: Tensor, time: Tensor, mask: Tensor | None, memory_mask: Tensor | None, angles: Tensor
    ) -> Tensor:
        """``time [B, 6, d]`` is common to all layers; each adds a table of its own."""
        shift1, scale1, gate1, shift2, scale2, gate2 = (self.scale_shift_table + time)[:, :, None].unbind(1)
        inside = self.attention_norm(x) * (1 + scale1) + shift1
        x = x + gate1 * self.attention(inside, inside, mask, angles)
        x = x + self.cross_attention(x, memory, memory_mask)
        return x + gate2 * self.feed_forward(self.ffn_norm(x) * (1 + scale2) + shift2)


class NormConv(nn.Module):
    """Normalise over channels and time at once, SiLU, convolve over three frames: ``[B, d, T] -> [B, d, T]``. Padding
    takes part in the statistics, so a padded sound differs from the same sound alone."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.groupnorm = nn.GroupNorm(1, dim)
        self.project = nn.Conv1d(dim, dim, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.project(functional.silu(self.groupnorm(x)))


class ResidualConv(nn.Module):
    """``x + block2(block1(x))`` over time, ``[B, T, d]``."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.block = nn.ModuleDict({"block1": NormConv(dim), "block2": NormConv(dim)})

    def forward(self, x: Tensor) -> Tensor:
        return x + self.block["block2"](self.block["block1"](x.mT)).mT
