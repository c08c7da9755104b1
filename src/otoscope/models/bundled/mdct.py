"""An invertible latent for the tiny separator: a compressed modified discrete cosine transform. Ours.

A lapped orthogonal transform with a sine window (Princen, Johnson & Bradley 1987): frame ``t`` covers the two hops
around the boundary before hop ``t``, so ``n`` samples make ``ceil(n / hop) + 1`` frames, and unchanged frames give the
signal back to rounding. Coefficients ``c`` become ``sign(c) |c| ** 0.5 / scale``, with one scale per bin that brings
ordinary sounds to unit variance. Unlike a mask on the mixture's phase, such latents have to be generated whole, signs
and all.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

POWER = 0.5


class Mdct(nn.Module):
    """The codec of the tiny separator (the ``Codec`` of ``models/separators/flow.py``). ``scale`` ``[hop]`` is part of
    its state: it belongs to what a network was trained on."""

    scale: Tensor
    basis: Tensor

    def __init__(self, rate: int, hop: int) -> None:
        super().__init__()
        self.rate, self.hop = rate, hop
        self.register_buffer("scale", torch.ones(hop))
        self.register_buffer("basis", _basis(hop), persistent=False)

    @property
    def latent(self) -> int:
        """Channels of a frame."""
        return self.hop

    def encode(self, x: Tensor) -> Tensor:
        """``[B, n]`` -> ``[B, ceil(n / hop) + 1, hop]``, float32; the end is filled up with silence."""
        return compress(self.transform(x)) / self.scale

    def decode(self, latents: Tensor) -> Tensor:
        """``[B, T, hop]`` -> ``[B, (T - 1) * hop]``."""
        return self.invert(expand(latents.float() * self.scale))

    def transform(self, x: Tensor) -> Tensor:
        """The bare transform, before compression and scale."""
        padded = functional.pad(x.float(), (self.hop, self.hop + -x.shape[-1] % self.hop))
        return padded.unfold(-1, 2 * self.hop, self.hop) @ self.basis.T

    def invert(self, coefficients: Tensor) -> Tensor:
        """The inverse of :meth:`transform`, as long as whole hops."""
        halves = (coefficients @ self.basis).unflatten(-1, (2, self.hop))
        return (halves[:, :-1, 1] + halves[:, 1:, 0]).flatten(1)


def compress(c: Tensor) -> Tensor:
    """``sign(c) |c| ** 0.5``."""
    return c.sign() * c.abs() ** POWER


def expand(x: Tensor) -> Tensor:
    """The inverse of :func:`compress`."""
    return x.sign() * x.abs() ** (1 / POWER)


def _basis(hop: int) -> Tensor:
    n, k = torch.arange(2 * hop, dtype=torch.float64), torch.arange(hop, dtype=torch.float64)
    window = torch.sin(math.pi / (2 * hop) * (n + 0.5))
    phases = math.pi / hop * torch.outer(k + 0.5, n + 0.5 + hop / 2)
    return (math.sqrt(2 / hop) * window * phases.cos()).float()
