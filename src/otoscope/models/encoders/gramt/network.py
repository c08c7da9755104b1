"""GRAM-T (binaural), written anew from its published description: log-mel of each ear as an image of two channels, a
patch embedding across both, a vision transformer over windows of 2 s.

Source: the GRAM-T paper and the public repository labhamlet/GRAM-T, read for facts (formulae, names, shapes). All
attention and normalisation happens inside a window. ``[B, 2, n]`` at 32 kHz -> frames ``[B, T, F * width]``, where a
frame joins the ``F`` patches of one moment, from low to high frequency.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from otoscope.audio.erb import mel_filterbank
from otoscope.core.errors import InputError

RATE, N_FFT, HOP, LOW_HZ, HIGH_HZ = 32_000, 1024, 320, 50.0, 16_000.0
#: Added to mel power before the natural logarithm: float32's machine epsilon, as when the model is evaluated. (In
#: training it was 1e-5.)
FLOOR = float(np.finfo(np.float32).eps)


@dataclass(frozen=True)
class Config:
    """Sizes. ``patch`` is (mel bins, columns); ``window`` counts columns of 10 ms."""

    patch: tuple[int, int] = (16, 8)
    width: int = 768
    heads: int = 12
    depth: int = 12
    hidden: int = 3072
    mels: int = 128
    window: int = 200

    @property
    def grid(self) -> tuple[int, int]:
        """Patches of a window: along frequency, along time."""
        return self.mels // self.patch[0], self.window // self.patch[1]

    @property
    def hop_s(self) -> float:
        """Seconds between frames."""
        return self.patch[1] * HOP / RATE


#: The two published ways of cutting a window: 16 x 8 patches, or all mel bins at once.
VARIANTS = {"patch": Config(), "time": Config(patch=(128, 2))}


class LogMel(nn.Module):
    """``[B, 2, n]`` -> ``[B, 2, mels, 1 + n // 320]``: Hann window, frames centred with reflection at both ends, power,
    HTK mel triangles of height 1, natural logarithm. Raises :class:`InputError` on sounds of 512 samples or less."""

    window: torch.Tensor
    weights: torch.Tensor

    def __init__(self, mels: int) -> None:
        super().__init__()
        weights = torch.from_numpy(mel_filterbank(mels, N_FFT, RATE, LOW_HZ, HIGH_HZ)).float()
        self.register_buffer("weights", weights, persistent=False)
        self.register_buffer("window", torch.hann_window(N_FFT), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, ears, n = x.shape
        if n <= N_FFT // 2:
            raise InputError(f"{n} samples are too short: reflection at the ends needs more than {N_FFT // 2}")
        spectrum = torch.stft(
            x.reshape(batch * ears, n), N_FFT, HOP, window=self.window, center=True, return_complex=True
        )
        power = spectrum.real.square() + spectrum.imag.square()
        return torch.log(self.weights @ power + FLOOR).reshape(batch, ears, -1, power.shape[-1])


class Attention(nn.Module):
    """Multi-head self-attention. ``qkv`` stacks queries, keys and values; each is split into heads of consecutive
    units: softmax(q k' / sqrt(d)) v."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, tokens, width = x.shape
        parts = self.qkv(x).view(batch, tokens, 3, self.heads, width // self.heads)
        q, k, v = parts.permute(2, 0, 3, 1, 4)
        heard = nn.functional.scaled_dot_product_attention(q, k, v)
        return self.out(heard.transpose(1, 2).reshape(batch, tokens, width))


class Block(nn.Module):
    """Pre-norm transformer block with GELU."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        width = config.width
        self.norm1, self.norm2 = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
        self.attention = Attention(width, config.heads)
        self.expand, self.shrink = nn.Linear(width, config.hidden), nn.Linear(config.hidden, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attention(self.norm1(x))
        return x + self.shrink(nn.functional.gelu(self.expand(self.norm2(x))))


class GramT(nn.Module):
    """The encoder. ``published_tail`` keeps what the published runtime does at the end of a sound, see :meth:`tail`."""

    positions: torch.Tensor

    def __init__(self, config: Config = VARIANTS["patch"], *, published_tail: bool = False) -> None:
        super().__init__()
        self.config, self.published_tail = config, published_tail
        self.log_mel = LogMel(config.mels)
        self.patches = nn.Conv2d(2, config.width, config.patch, stride=config.patch)
        self.cls = nn.Parameter(torch.randn(1, 1, config.width))
        positions = torch.from_numpy(sincos_positions(config.width, config.grid)).float()
        self.register_buffer("positions", positions[None])
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.norm = nn.LayerNorm(config.width, eps=1e-6)

    def tail(self, n: int) -> tuple[int, int, int]:
        """Of ``n`` samples: columns heard, windows, frames kept.

        The published runtime hears ``1 + n // 320`` columns (the last is centred on or past the end), always pads, so
        that an exact multiple of the window is followed by a whole window of zeros, and cuts the padded frames in the
        end. Here only whole hops count and no window is added in vain (ours); 2 s are one window, not two.
        """
        window, step = self.config.window, self.config.grid[1]
        if self.published_tail:
            columns = 1 + n // HOP
            windows = columns // window + 1
            return columns, windows, windows * step - int(step * (windows * window - columns) / window)
        columns = max(1, n // HOP)
        return columns, -(-columns // window), -(-columns // self.config.patch[1])

    def forward(self, x: torch.Tensor) -> dict[int | str, torch.Tensor]:
        """``[B, 2, n]`` -> by layer ``[B, T, F * width]``. Layer 0 enters the first block, ``k`` leaves block ``k``,
        ``last`` is after the final norm."""
        columns, windows, frames = self.tail(x.shape[-1])
        image = self.log_mel(x)[..., :columns]
        image = nn.functional.pad(image, (0, windows * self.config.window - columns))  # zeros of log-mel, as published
        batch, ears, mels, _ = image.shape
        image = image.view(batch, ears, mels, windows, -1).permute(0, 3, 1, 2, 4).flatten(0, 1)
        image = nn.functional.layer_norm(image, image.shape[1:])  # jointly over ear, mel bin and time; eps 1e-5
        tokens = self.patches(image).flatten(2).transpose(1, 2) + self.positions[:, 1:]
        summary = (self.cls + self.positions[:, :1]).expand(len(tokens), -1, -1)
        h = torch.cat([summary, tokens], dim=1)
        states: dict[int | str, Any] = {0: h}
        for i, block in enumerate(self.blocks):
            states[i + 1] = h = block(h)
        states["last"] = self.norm(h)
        return {k: self._frames(s, windows)[:, :frames] for k, s in states.items()}

    def _frames(self, h: torch.Tensor, windows: int) -> torch.Tensor:
        """Tokens (a summary, then frequency by frequency) ``[B * W, 1 + F * T, D]`` -> ``[B, W * T, F * D]``."""
        low, time = self.config.grid
        h = h[:, 1:].unflatten(1, (low, time)).transpose(1, 2).flatten(2)
        return h.unflatten(0, (-1, windows)).flatten(1, 2)


def sincos_positions(width: int, grid: tuple[int, int]) -> NDArray[np.float64]:
    """Fixed positions of the summary token (zeros) and the patches, frequency-major: ``[1 + F * T, width]``. The first
    half of the units codes time, the second frequency; each half is sines, then cosines, of rates 10000^(-k / K)."""
    quarter = width // 4
    rates = 10_000.0 ** (-np.arange(quarter) / quarter)
    low, time = (g.reshape(-1, 1) * rates for g in np.meshgrid(*map(np.arange, grid), indexing="ij"))
    waves = np.concatenate([np.sin(time), np.cos(time), np.sin(low), np.cos(low)], axis=1)
    return np.concatenate([np.zeros((1, width)), waves])
