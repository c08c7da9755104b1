"""Windows and the tokens that are kept, for the sizes of the published model."""

from __future__ import annotations

import pytest
import torch

from otoscope.models.encoders.wavjepa.network import Sizes, positions
from otoscope.models.encoders.wavjepa.windows import kept_steps, standardise, to_level


@pytest.mark.parametrize(
    ("n", "kept"),
    [
        (160_000, [200, 200, 200, 200, 196]),  # 10 s
        (32_159, [200]),  # a multiple: the public runtime's extra window of zeros is dropped
        (64_318, [200, 200]),
        (16_000, [100]),
        (32_160, [200]),  # one sample is less than a token
        (100, []),
    ],
)
def test_kept(n, kept) -> None:
    assert kept_steps(n, 32_159, 200, 16_000) == kept


def test_a_window_has_200_tokens() -> None:
    assert Sizes().steps == 200


def test_positions_tell_time_and_ear() -> None:
    p = positions(16, 5).reshape(2, 5, 16)
    assert torch.equal(p[0, :, :8], p[1, :, :8])
    assert torch.equal(p[0, :, 8:], torch.zeros(5, 8))
    assert torch.equal(p[1, :, 8:], torch.tensor([0.0] * 4 + [1.0] * 4).expand(5, 8))
    three = torch.tensor(3.0)
    assert torch.allclose(p[0, 3, :8:4], torch.stack([three.sin(), three.cos()]))


def test_both_ears_share_one_gain() -> None:
    x = torch.randn(2, 2, 1_000, generator=torch.Generator().manual_seed(1)) * torch.tensor([[1.0], [0.25]])
    for made in (to_level(x), standardise(x)):
        ratio = made.std(dim=-1)[:, 0] / made.std(dim=-1)[:, 1]
        assert torch.allclose(ratio, x.std(dim=-1)[:, 0] / x.std(dim=-1)[:, 1], rtol=1e-4)
    assert torch.equal(to_level(torch.zeros(1, 2, 8)), torch.zeros(1, 2, 8))
