"""DACVAE: waveforms to 25 latent frames per second, and back, with a watermark in what comes back.

Source: the behaviour of the public DACVAE code, written anew; parameter names are the published ones. ``encode`` gives
the posterior's mean, nothing is drawn. ``decode`` adds a watermark after AudioSeal (arXiv 2401.17264) that carries 16
bits. The published code draws them anew at every decoding, so equal latents sound different each time; here they are an
argument. Published quirk kept: inside a decoder block the watermark's rising layers are 2, 3, 6 and its falling ones 7,
10, 11, between the audio's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from otoscope.core.errors import ModelError
from otoscope.models.separators.codec_layers import (
    CausalConv,
    CausalRise,
    Conv,
    Recurrent,
    Rise,
    Snake,
    chain,
    elu_unit,
    snake_unit,
)

BITS = 16
_WATERMARK_RATES, _WATERMARK_CHANNELS = (8, 5, 4, 2), 32
_WATERMARK_DIM, _HIDDEN = 128, 512


@dataclass(frozen=True)
class CodecConfig:
    """Sizes. ``latent`` is the encoder's width, ``bottleneck`` what is kept of it. Channels double from one encoder
    block to the next and halve in the decoder."""

    encoder_dim: int = 64
    encoder_rates: tuple[int, ...] = (2, 8, 10, 12)
    latent: int = 1024
    bottleneck: int = 128
    decoder_dim: int = 1536
    decoder_rates: tuple[int, ...] = (12, 10, 8, 2)
    rate: int = 48_000

    def __post_init__(self) -> None:
        rates, back = math.prod(self.encoder_rates), math.prod(self.decoder_rates)
        if rates != back or len(self.decoder_rates) != len(_WATERMARK_RATES):
            raise ModelError(
                f"encoder rates {self.encoder_rates} and decoder rates {self.decoder_rates} do not fit",
                fix=f"Both multiply to the hop, and there are {len(_WATERMARK_RATES)} decoder rates.",
            )
        if self.hop % math.prod(_WATERMARK_RATES):
            raise ModelError(f"a hop of {self.hop} is no multiple of the watermark's {math.prod(_WATERMARK_RATES)}")
        # The third of a block's channels that the watermark path takes must meet: 32 in the last, 512 in the first.
        if self.decoder_dim // 3 != _HIDDEN:
            raise ModelError(f"decoder_dim {self.decoder_dim} leaves the watermark {self.decoder_dim // 3}, not 512")

    @property
    def hop(self) -> int:
        """Samples per latent frame."""
        return math.prod(self.encoder_rates)


class _Block(nn.Module):
    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.block = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.block(x)


class Encoder(nn.Module):
    """``[B, 1, n] -> [B, latent, n / hop]``."""

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        width = config.encoder_dim
        layers: list[nn.Module] = [Conv(1, width, 7)]
        for stride in config.encoder_rates:
            units = [snake_unit(width, dilation) for dilation in (1, 3, 9)]
            layers.append(_Block(*units, Snake(width), Conv(width, 2 * width, 2 * stride, stride)))
            width *= 2
        self.block = nn.Sequential(*layers, Snake(width), Conv(width, config.latent, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.block(x)


class DecoderBlock(nn.Module):
    """The audio's layers, and between them those of the watermark at its own, coarser rates."""

    def __init__(self, width: int, stride: int, watermark_stride: int) -> None:
        super().__init__()
        half, outer, inner = width // 2, width // 3, width // 2 // 3
        rise, fall = CausalRise(outer, inner, watermark_stride), watermark_stride * 2
        self.block = nn.ModuleList(
            [
                *(Snake(width), Rise(width, half, stride)),
                *(nn.ELU(), rise),
                *(snake_unit(half, 1), snake_unit(half, 3)),
                *(elu_unit(inner), elu_unit(inner)),
                *(snake_unit(half, 9), nn.Identity()),
                *(nn.ELU(), CausalConv(inner, outer, fall, watermark_stride)),
            ]
        )

    def part(self, *indices: int) -> list[nn.Module]:
        return [self.block[i] for i in indices]

    def forward(self, x: Tensor) -> Tensor:
        return chain(self.part(0, 1, 4, 5, 8))(x)

    def rise(self, x: Tensor) -> Tensor:
        return chain(self.part(2, 3, 6))(x)

    def fall(self, x: Tensor) -> Tensor:
        return chain(self.part(7, 10, 11))(x)


class Bits(nn.Module):
    """Adds the sum of one vector per bit to every frame: row ``2 i + bit`` of the table for bit ``i``."""

    def __init__(self) -> None:
        super().__init__()
        self.msg_processor = nn.Embedding(2 * BITS, _WATERMARK_DIM)

    def forward(self, x: Tensor, message: Tensor) -> Tensor:
        rows = 2 * torch.arange(BITS, device=x.device) + message.long()
        return x + self.msg_processor(rows).sum(-2)[..., None]


class _Stage(nn.Module):
    def __init__(self, pre: list[nn.Module], post: list[nn.Module]) -> None:
        super().__init__()
        self.pre, self.post = nn.Sequential(*pre), nn.Sequential(*post)


class Watermark(nn.Module):
    """The ends of the watermark's path; ``encoder_block.pre`` up to its tanh is the audio's own last layer."""

    def __init__(self, width: int) -> None:
        super().__init__()
        audio: list[nn.Module] = [Snake(width), Conv(width, 1, 7), nn.Tanh()]
        self.encoder_block = _Stage(
            [*audio, CausalConv(1, _WATERMARK_CHANNELS, 7)],
            [Recurrent(_HIDDEN), nn.ELU(), CausalConv(_HIDDEN, _WATERMARK_DIM, 7)],
        )
        self.msg_processor = Bits()
        self.decoder_block = _Stage(
            [CausalConv(_WATERMARK_DIM, _HIDDEN, 7), Recurrent(_HIDDEN)],
            [nn.ELU(), CausalConv(_WATERMARK_CHANNELS, 1, 7)],
        )


class Decoder(nn.Module):
    """``[B, latent, T] -> [B, 1, T * hop]``."""

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        width = config.decoder_dim
        layers: list[nn.Module] = [Conv(config.latent, width, 7)]
        for stride, watermark_stride in zip(config.decoder_rates, _WATERMARK_RATES, strict=True):
            layers.append(DecoderBlock(width, stride, watermark_stride))
            width //= 2
        self.model = nn.ModuleList(layers)
        self.wm_model = Watermark(width)

    def forward(self, z: Tensor, message: Tensor) -> Tensor:
        """``message [B, 16]`` holds zeros and ones."""
        first, *blocks = self.model
        x = first(z)
        for block in blocks:
            x = block(x)
        own, mark = self.wm_model.encoder_block, self.wm_model.decoder_block
        audio = own.pre[:-1](x)
        h = own.pre[-1](audio)
        for block in reversed(blocks):
            h = block.fall(h)  # type: ignore[operator]
        h = mark.pre(self.wm_model.msg_processor(own.post(h), message))
        for block in blocks:
            h = block.rise(h)  # type: ignore[operator]
        return audio + _WATERMARK_CHANNELS / _WATERMARK_DIM * mark.post(h)


class DacVae(nn.Module):
    """The codec, in float32."""

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder, self.decoder = Encoder(config), Decoder(config)
        narrow, wide = Conv(config.latent, 2 * config.bottleneck, 1), Conv(config.bottleneck, config.latent, 1)
        self.quantizer = nn.ModuleDict({"in_proj": narrow, "out_proj": wide})

    def encode(self, x: Tensor) -> Tensor:
        """``[B, n]`` at ``config.rate`` -> means ``[B, T, bottleneck]``, ``T`` the frames that cover ``n``; the last is
        filled up by reflection (repeatedly where the sound is shorter than what is missing)."""
        missing = -x.shape[-1] % self.config.hop
        while missing:
            more = min(missing, x.shape[-1] - 1)
            x = functional.pad(x[:, None], (0, more), "reflect" if more else "replicate")[:, 0]
            if not more:  # one sample has nothing to reflect
                x, more = functional.pad(x[:, None], (0, missing), "replicate")[:, 0], missing
            missing -= more
        return self.quantizer["in_proj"](self.encoder(x[:, None])).mT[..., : self.config.bottleneck]

    def decode(self, latents: Tensor, message: Tensor) -> Tensor:
        """``[B, T, bottleneck]`` and bits ``[B, 16]`` -> ``[B, T * hop]``."""
        return self.decoder(self.quantizer["out_proj"](latents.mT), message)[:, 0]


class MarkedCodec(nn.Module):
    """The codec with one fixed watermark: bit ``i`` of ``message`` (0 to 65535) is the watermark's bit ``i``."""

    bits: Tensor

    def __init__(self, codec: DacVae, message: int) -> None:
        super().__init__()
        self.codec = codec
        bits = torch.tensor([[message >> i & 1 for i in range(BITS)]])
        self.register_buffer("bits", bits, persistent=False)
        self.rate, self.hop, self.latent = codec.config.rate, codec.config.hop, codec.config.bottleneck

    def encode(self, x: Tensor) -> Tensor:
        return self.codec.encode(x)

    def decode(self, latents: Tensor) -> Tensor:
        return self.codec.decode(latents, self.bits.expand(len(latents), -1))
