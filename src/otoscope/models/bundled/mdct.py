"""An invertible latent for the tiny separator: a compressed modified discrete cosine transform. Ours.

A lapped orthogonal transform with a sine window (Princen, Johnson & Bradley 1987), written as its two steps: samples
on both sides of every boundary between hops are rotated against their mirror images, then each hop goes through a
DCT-IV. At the outer ends nothing is rotated, so ``T`` hops make exactly ``T`` frames, and unchanged frames give the
signal back to rounding. Coefficients ``c`` become ``sign(c) |c| ** 0.5 / scale``, with one scale per bin that brings
ordinary sounds to unit variance. Unlike a mask on the mixture's phase, such latents have to be generated whole, signs
and all.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from otoscope.core.errors import ModelError

POWER = 0.5


class Mdct(nn.Module):
    """The codec of the tiny separator (the ``Codec`` of ``models/separators/flow.py``). ``scale`` ``[hop]`` is part of
    its state: it belongs to what a network was trained on. Raises :class:`ModelError` on an odd hop."""

    scale: Tensor
    dct: Tensor
    sine: Tensor

    def __init__(self, rate: int, hop: int) -> None:
        super().__init__()
        if hop < 2 or hop % 2:
            raise ModelError(f"a hop of {hop} samples has no middle", fix="Use an even hop.")
        self.rate, self.hop, self.latent = rate, hop, hop
        n = torch.arange(hop, dtype=torch.float64) + 0.5
        dct = math.sqrt(2 / hop) * torch.cos(math.pi / hop * torch.outer(n, n))
        self.register_buffer("scale", torch.ones(hop))
        self.register_buffer("dct", dct.float(), persistent=False)
        # The window's rising half on the right of a boundary, from the boundary outwards.
        self.register_buffer("sine", torch.sin(math.pi / 2 * (0.5 + n[: hop // 2] / hop)).float(), persistent=False)

    def encode(self, x: Tensor) -> Tensor:
        """``[B, n]`` -> ``[B, ceil(n / hop), hop]``, float32; the last hop is filled up with silence."""
        c = self.transform(x)
        return c.sign() * c.abs() ** POWER / self.scale

    def decode(self, latents: Tensor) -> Tensor:
        """``[B, T, hop]`` -> ``[B, T * hop]``."""
        x = latents.float() * self.scale
        return self.invert(x.sign() * x.abs() ** (1 / POWER))

    def transform(self, x: Tensor) -> Tensor:
        """The bare, orthogonal transform, before compression and scale."""
        hops = functional.pad(x.float(), (0, -x.shape[-1] % self.hop)).unflatten(-1, (-1, self.hop))
        return self._rotate(hops, 1.0) @ self.dct

    def invert(self, coefficients: Tensor) -> Tensor:
        """The inverse of :meth:`transform`, as long as whole hops."""
        return self._rotate(coefficients @ self.dct, -1.0).flatten(-2)

    def _rotate(self, hops: Tensor, way: float) -> Tensor:
        """Turn the samples around every inner boundary by the window's angle."""
        half = self.hop // 2
        cos, sin = self.sine, way * (1 - self.sine.square()).sqrt()
        left, right = hops[:, :-1, half:].flip(-1), hops[:, 1:, :half]
        out = hops.clone()
        out[:, 1:, :half] = cos * right + sin * left
        out[:, :-1, half:] = (cos * left - sin * right).flip(-1)
        return out
