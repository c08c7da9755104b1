"""An invertible latent for the tiny separator: envelope and fine structure of a lapped transform. Ours.

The modified discrete cosine transform with a sine window (Princen, Johnson & Bradley 1987), written as its two steps:
samples on both sides of every boundary between hops are rotated against their mirror images, then each hop goes
through a DCT-IV. At the outer ends nothing is rotated, so ``T`` hops make exactly ``T`` frames. A frame's latents are
the logarithm of its envelope in ``bands`` bands, and its coefficients divided by the envelope's power ``share``; the
decoder multiplies by it, so unchanged latents give the signal back to rounding. Unlike a mask on the mixture's phase,
such latents have to be generated whole, signs and all.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from otoscope.core.errors import ModelError

#: The part of the level, as a power, that the envelope carries; the fine structure keeps the rest.
SHARE = 0.3
#: Envelopes are not taken below this amplitude (full scale is 1).
FLOOR = 3e-3


class Mdct(nn.Module):
    """The codec of the tiny separator (the ``Codec`` of ``models/separators/flow.py``): ``[envelope | fine]``, each
    channel less ``shift`` and divided by ``scale`` ``[latent]``, which belong to what a network was trained on. Raises
    :class:`ModelError` on an odd hop, or more bands than bins."""

    shift: Tensor
    scale: Tensor
    dct: Tensor
    sine: Tensor
    average: Tensor
    spread: Tensor

    def __init__(self, rate: int, hop: int, bands: int) -> None:
        super().__init__()
        if hop < 2 or hop % 2:
            raise ModelError(f"a hop of {hop} samples has no middle", fix="Use an even hop.")
        if not 2 <= bands <= hop:
            raise ModelError(f"{bands} bands do not fit {hop} bins", fix="From 2 to the hop.")
        self.rate, self.hop, self.bands, self.latent = rate, hop, bands, bands + hop
        n = torch.arange(hop, dtype=torch.float64) + 0.5
        dct = math.sqrt(2 / hop) * torch.cos(math.pi / hop * torch.outer(n, n))
        average, spread = triangles(hop, bands)
        self.register_buffer("shift", torch.zeros(self.latent))
        self.register_buffer("scale", torch.ones(self.latent))
        self.register_buffer("dct", dct.float(), persistent=False)
        # The window's rising half on the right of a boundary, from the boundary outwards.
        self.register_buffer("sine", torch.sin(math.pi / 2 * (0.5 + n[: hop // 2] / hop)).float(), persistent=False)
        self.register_buffer("average", average.float(), persistent=False)
        self.register_buffer("spread", spread.float(), persistent=False)

    def encode(self, x: Tensor) -> Tensor:
        """``[B, n]`` -> ``[B, ceil(n / hop), latent]``, float32; the last hop is filled up with silence."""
        c = self.transform(x)
        power = functional.pad((c.square() @ self.average).mT, (1, 1), mode="replicate")
        level = 0.5 * (functional.avg_pool1d(power, 3, 1).mT + FLOOR**2).log()
        fine = c * (-SHARE * (level @ self.spread)).exp()
        return (torch.cat([level, fine], dim=-1) - self.shift) / self.scale

    def decode(self, latents: Tensor) -> Tensor:
        """``[B, T, latent]`` -> ``[B, T * hop]``."""
        level, fine = (latents.float() * self.scale + self.shift).split([self.bands, self.hop], dim=-1)
        # No sound is louder than this: it bounds what a stray latent can do.
        return self.invert(fine * (SHARE * (level.clamp_max(2.0) @ self.spread)).exp())

    def transform(self, x: Tensor) -> Tensor:
        """The bare, orthogonal transform, before envelope and scale."""
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


def triangles(bins: int, bands: int) -> tuple[Tensor, Tensor]:
    """Bands as overlapping triangles that get wider upwards, linearly at first, then geometrically. ``average [bins,
    bands]`` sums to one over bins, ``spread [bands, bins]`` over bands: it draws a line from centre to centre."""
    at = torch.linspace(0, math.log1p(bins / 16), bands, dtype=torch.float64).expm1() * 16 * (bins - 1) / bins
    centres = at.clone()
    for i in range(1, bands):  # low bands may not be closer than a bin
        centres[i] = max(float(centres[i]), float(centres[i - 1]) + 1)
    centres = centres * (bins - 1) / centres[-1] if centres[-1] > bins - 1 else centres
    n = torch.arange(bins, dtype=torch.float64)
    above = ((n[None] - centres[:-1, None]) / centres.diff()[:, None]).clamp(0, 1)
    spread = torch.cat([torch.ones(1, bins, dtype=torch.float64), above]) - torch.cat(
        [above, torch.zeros(1, bins, dtype=torch.float64)]
    )
    weights = spread.mT / spread.sum(1).clamp_min(1e-9)
    return weights, spread
