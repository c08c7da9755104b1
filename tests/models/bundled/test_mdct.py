"""The tiny separator's latent: exact, local, and anchored to the transform's definition."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from otoscope.core.errors import ModelError
from otoscope.models.bundled.mdct import Mdct, triangles


@pytest.mark.parametrize("n", [1600, 1601, 159])
def test_there_and_back(n) -> None:
    codec = Mdct(8000, 160, 40)
    codec.shift.uniform_(-1, 1, generator=torch.Generator().manual_seed(0))
    codec.scale.uniform_(0.1, 2, generator=torch.Generator().manual_seed(1))
    x = 0.3 * torch.randn(2, n, generator=torch.Generator().manual_seed(2))
    latents = codec.encode(x)
    assert latents.shape == (2, -(-n // 160), 200)
    back = codec.decode(latents)
    assert back.shape == (2, latents.shape[1] * 160)
    torch.testing.assert_close(back[:, :n], x, atol=2e-6, rtol=0)


def test_the_transform_is_orthogonal_and_is_the_mdct() -> None:
    codec = Mdct(8000, 32, 8)
    x = torch.randn(1, 32 * 9, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).float()
    c = codec.transform(x)
    torch.testing.assert_close(c.square().sum(), x.square().sum())
    torch.testing.assert_close(codec.invert(c), x, atol=2e-6, rtol=0)
    # By definition: a windowed block of two hops, times cosines (the MDCT's, running backwards).
    n, hop, frame = np.arange(64), 32, 4
    window = np.sin(np.pi / 64 * (n + 0.5))
    basis = np.sqrt(2 / hop) * np.cos(np.pi / hop * (n + 0.5 - hop / 2) * (np.arange(hop)[:, None] + 0.5))
    start = frame * hop - hop // 2
    by_definition = basis @ (x[0, start : start + 64].double().numpy() * window)
    np.testing.assert_allclose(c[0, frame], by_definition, atol=2e-6)


def test_the_envelope_is_the_level_of_each_band() -> None:
    codec = Mdct(8000, 160, 40)
    t = torch.arange(8000) / 8000
    quiet, loud = (a * torch.sin(2 * np.pi * 1000 * t)[None] for a in (0.05, 0.5))
    level = [codec.encode(x)[0, 10:-10, :40] for x in (quiet, loud)]
    peak = level[1].mean(0).argmax()
    centre = torch.as_tensor(triangles(160, 40)[1]).argmax(1)[peak] * 25  # bins of 25 Hz
    assert abs(float(centre) - 1000) < 100
    assert float((level[1] - level[0])[:, peak].mean()) == pytest.approx(np.log(10), abs=0.02)


def test_bands_cover_every_bin_once() -> None:
    for bins, bands in ((160, 40), (16, 8), (80, 2)):
        average, spread = triangles(bins, bands)
        np.testing.assert_allclose(spread.sum(0), 1.0)
        np.testing.assert_allclose(average.sum(0), 1.0)
        assert float(spread.min()) >= 0


def test_sizes_that_cannot_be() -> None:
    for hop, bands in ((31, 8), (0, 8), (32, 33), (32, 1)):
        with pytest.raises(ModelError):
            Mdct(8000, hop, bands)


def test_a_stray_latent_stays_finite() -> None:
    codec = Mdct(8000, 32, 8)
    assert torch.isfinite(codec.decode(torch.full((1, 3, 40), 1e4))).all()
