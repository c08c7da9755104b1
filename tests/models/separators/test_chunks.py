"""Pieces and cross-fades: lengths by arithmetic, weights by what joins to a constant."""

from __future__ import annotations

import itertools

import pytest
import torch

from otoscope.models.separators.chunks import join, plan


@pytest.mark.parametrize("overlap", [0, 1, 5, 10])
@pytest.mark.parametrize("total", [*range(1, 60), 100, 101])
def test_pieces_cover_the_whole(total: int, overlap: int) -> None:
    places = plan(total, 20, overlap)
    assert places[0].start == 0
    assert places[-1].stop == total
    assert {len(p) for p in places} == {min(total, 20)}
    for before, after in itertools.pairwise(places):
        assert before.start < after.start
        assert before.stop - after.start >= overlap


@pytest.mark.parametrize("overlap", [0, 1, 5, 10])
@pytest.mark.parametrize("total", [20, 21, 39, 40, 41, 57, 100])
def test_weights_sum_to_one(total: int, overlap: int) -> None:
    places = plan(total, 20, overlap)
    same = torch.randn(total * 3, 2, generator=torch.Generator().manual_seed(1))
    parts = [same[p.start * 3 : p.stop * 3] for p in places]
    torch.testing.assert_close(join(parts, places, overlap, 3), same)
    # The weights of the pieces one by one: each between 0 and 1, together 1 everywhere.
    alone = []
    for k in range(len(places)):
        ones = [torch.full((len(p) * 3, 1), float(i == k)) for i, p in enumerate(places)]
        alone.append(join(ones, places, overlap, 3))
    assert all(((w >= 0) & (w <= 1)).all() for w in alone)
    torch.testing.assert_close(sum(alone), torch.ones(total * 3, 1))


def test_the_fade_is_a_line() -> None:
    places = plan(36, 20, 4)
    weights = join([torch.zeros(20), torch.ones(20)], places, 4)
    assert weights[:16].eq(0).all()
    assert weights[20:].eq(1).all()
    torch.testing.assert_close(weights[16:20], torch.tensor([0.125, 0.375, 0.625, 0.875]))


def test_no_limit_is_one_piece() -> None:
    assert plan(1000, None, 0) == [range(1000)]
    x = torch.randn(1000)
    assert join([x], [range(1000)], 0) is x
