"""The codec: lengths, determinism, watermark, and its layers against torch's own."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from otoscope.core.errors import ModelError
from otoscope.models.separators import codec_layers
from otoscope.models.separators.dacvae import CodecConfig, DacVae, MarkedCodec

SMALL = CodecConfig(
    encoder_dim=4, encoder_rates=(4, 4, 4, 5), latent=16, bottleneck=8, decoder_rates=(5, 4, 4, 4), rate=8000
)


@pytest.fixture(scope="module")
def codec() -> DacVae:
    torch.manual_seed(0)
    return DacVae(SMALL).eval()


@pytest.mark.parametrize("n", [1, 2, 319, 320, 321, 1000])
def test_frames_cover_the_sound_and_come_back_whole(codec: DacVae, n: int) -> None:
    x = torch.randn(2, n, generator=torch.Generator().manual_seed(n))
    with torch.no_grad():
        latents = codec.encode(x)
        back = codec.decode(latents, torch.zeros(2, 16))
    frames = -(-n // 320)
    assert latents.shape == (2, frames, 8)
    assert back.shape == (2, frames * 320)
    assert torch.isfinite(back).all()
    assert torch.equal(latents, codec.encode(x))  # a mean, not a draw


def test_the_end_is_reflected(codec: DacVae) -> None:
    x = torch.randn(1, 500, generator=torch.Generator().manual_seed(4))
    with torch.no_grad():
        mirrored = torch.cat([x, x[:, 499 - 140 : 499].flip(1)], dim=1)
        torch.testing.assert_close(codec.encode(x), codec.encode(mirrored))


def test_the_published_hop() -> None:
    config = CodecConfig()
    assert (config.hop, config.rate / config.hop) == (1920, 25.0)


def test_equal_messages_sound_equal_and_others_do_not(codec: DacVae) -> None:
    latents = torch.randn(2, 3, 8, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        zero, same, other = (MarkedCodec(codec, m).decode(latents) for m in (0, 0, 1 << 15))
    assert torch.equal(zero, same)
    assert (zero - other).abs().max() > 0
    assert MarkedCodec(codec, 0b101).bits.tolist() == [[1, 0, 1, *[0] * 13]]


def test_every_bit_of_the_message_is_heard(codec: DacVae) -> None:
    latents = torch.randn(1, 2, 8, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        heard = {MarkedCodec(codec, 1 << bit).decode(latents).numpy().tobytes() for bit in range(16)}
    assert len(heard) == 16


@pytest.mark.parametrize(("kernel", "stride", "dilation"), [(7, 1, 1), (7, 1, 9), (8, 4, 1), (1, 1, 1)])
def test_convolution_is_torchs_with_weight_norm(kernel: int, stride: int, dilation: int) -> None:
    torch.manual_seed(0)
    ours = codec_layers.Conv(3, 5, kernel, stride, dilation)
    padding = (kernel - stride) * dilation // 2 if stride == 1 else -(-stride // 2)
    theirs = nn.Conv1d(3, 5, kernel, stride, padding, dilation)
    theirs = nn.utils.parametrizations.weight_norm(theirs, dim=0)
    with torch.no_grad():
        ours.weight_g.mul_(torch.rand(5, 1, 1) + 0.5)
        theirs.parametrizations.weight.original0.copy_(ours.weight_g)
        theirs.parametrizations.weight.original1.copy_(ours.weight_v)
        theirs.bias.copy_(ours.bias)
        x = torch.randn(2, 3, 40)
        torch.testing.assert_close(ours(x), theirs(x))
    assert ours(x).shape[-1] == 40 // stride


def test_causal_layers_see_no_future() -> None:
    torch.manual_seed(0)
    conv, rise = codec_layers.CausalConv(2, 3, 8, 4), codec_layers.CausalRise(3, 2, 4)
    x = torch.randn(1, 2, 48)
    changed = x.clone()
    changed[..., 24:] = 0
    assert torch.equal(conv(x)[..., :6], conv(changed)[..., :6])
    assert torch.equal(rise(conv(x))[..., :24], rise(conv(changed))[..., :24])
    assert rise(conv(x)).shape == x.shape


def test_snake() -> None:
    layer, x = codec_layers.Snake(2), torch.tensor([[[0.3], [-1.0]]])
    with torch.no_grad():
        layer.alpha.copy_(torch.tensor([[[2.0], [0.5]]]))
        expected = torch.tensor(
            [[[0.3 + torch.sin(torch.tensor(0.6)) ** 2 / 2], [-1 + 2 * torch.sin(torch.tensor(0.5)) ** 2]]]
        )
        torch.testing.assert_close(layer(x), expected)


def test_recurrent_is_two_layers_and_a_skip() -> None:
    torch.manual_seed(0)
    layer, x = codec_layers.Recurrent(4), torch.randn(2, 4, 5)
    with torch.no_grad():
        steps = x.permute(2, 0, 1)
        torch.testing.assert_close(layer(x), (layer.lstm(steps)[0] + steps).permute(1, 2, 0))
        assert functional.mse_loss(layer(x), x) > 0


def test_sizes_that_cannot_be() -> None:
    for wrong in (
        {"decoder_rates": (12, 10, 8, 4)},
        {"decoder_dim": 768},
        {"encoder_rates": (2, 2), "decoder_rates": (2, 2, 1, 1)},
    ):
        with pytest.raises(ModelError):
            CodecConfig(**wrong)
