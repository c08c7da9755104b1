"""Layers of the audio codec: Snake, convolutions with weight norm, causal convolutions, residual units.

Source: the family of the Descript Audio Codec (arXiv 2306.06546) and the behaviour of the public DACVAE code, written
anew. Parameter names are the published ones, among them the old ``weight_g`` and ``weight_v``. Everything is
``[B, C, T]``.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional


class Snake(nn.Module):
    """``x + sin(alpha x)^2 / alpha``, with an alpha per channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.ones(1, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x + torch.sin(self.alpha * x).square() / (self.alpha + 1e-9)


class Normed(nn.Module):
    """A weight ``[a, b, k]`` as a direction per ``a`` and its length, and a bias."""

    def __init__(self, weight: Tensor, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))
        self.weight_g = nn.Parameter(weight.norm(dim=(1, 2), keepdim=True))
        self.weight_v = nn.Parameter(weight)

    @property
    def weight(self) -> Tensor:
        return self.weight_v * (self.weight_g / self.weight_v.norm(dim=(1, 2), keepdim=True))


class Conv(Normed):
    """Convolution with padding on both sides: ``T -> T / stride``."""

    def __init__(self, inside: int, out: int, kernel: int, stride: int = 1, dilation: int = 1) -> None:
        super().__init__(_draw(out, inside, kernel), out)
        self.stride, self.dilation = stride, dilation
        self.padding = (kernel - stride) * dilation // 2 if stride == 1 else (stride + 1) // 2

    def forward(self, x: Tensor) -> Tensor:
        return functional.conv1d(x, self.weight, self.bias, self.stride, self.padding, self.dilation)


class Rise(Normed):
    """Transposed convolution over two strides: ``T -> T * stride``."""

    def __init__(self, inside: int, out: int, stride: int) -> None:
        super().__init__(_draw(inside, out, 2 * stride), out)
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        s = self.stride
        return functional.conv_transpose1d(x, self.weight, self.bias, s, (s + 1) // 2, s % 2)


class CausalConv(nn.Conv1d):
    """Plain convolution that sees no future: ``T -> T / stride`` for whole strides."""

    def __init__(self, inside: int, out: int, kernel: int, stride: int = 1) -> None:
        super().__init__(inside, out, kernel, stride)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(functional.pad(x, (self.kernel_size[0] - self.stride[0], 0)))


class CausalRise(nn.ConvTranspose1d):
    """Plain transposed convolution over two strides, cut at its end: ``T -> T * stride``."""

    def __init__(self, inside: int, out: int, stride: int) -> None:
        super().__init__(inside, out, 2 * stride, stride)

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        return super().forward(x, output_size)[..., : x.shape[-1] * int(self.stride[0])]


class Residual(nn.Module):
    """``x + block(x)``: activation, wide convolution, activation, convolution over one sample."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.block = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.block(x)


def snake_unit(channels: int, dilation: int) -> Residual:
    """A residual unit of the audio path."""
    wide, narrow = Conv(channels, channels, 7, dilation=dilation), Conv(channels, channels, 1)
    return Residual(Snake(channels), wide, Snake(channels), narrow)


def elu_unit(channels: int) -> Residual:
    """A residual unit of the watermark's path."""
    inner = channels // 2
    return Residual(nn.ELU(), CausalConv(channels, inner, 3), nn.ELU(), CausalConv(inner, channels, 1))


class Recurrent(nn.Module):
    """Two LSTM layers over time, with a skip."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(channels, channels, 2)

    def forward(self, x: Tensor) -> Tensor:
        steps = x.permute(2, 0, 1)
        return (steps + self.lstm(steps)[0]).permute(1, 2, 0)


def chain(layers: list[nn.Module]) -> Callable[[Tensor], Tensor]:
    """One layer after the other."""

    def run(x: Tensor) -> Tensor:
        for layer in layers:
            x = layer(x)
        return x

    return run


def _draw(a: int, b: int, kernel: int) -> Tensor:
    return torch.randn(a, b, kernel) / (b * kernel) ** 0.5
