"""The training loop: the published schedule, the stream's shuffle, and which epoch is kept."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from otoscope.core.errors import InputError, UsageError
from otoscope.readouts.gradient import Recipe, stream_order, train


def test_the_rates_are_the_published_ones():
    factors = np.array(Recipe(epochs=10, lr=1.0).rates())
    assert np.round(factors, 3).tolist() == [1.0, 0.978, 0.914, 0.815, 0.689, 0.55, 0.411, 0.285, 0.186, 0.122]


def test_a_recipe_without_epochs_is_refused():
    with pytest.raises(UsageError, match="positive"):
        Recipe(epochs=0)


@pytest.mark.parametrize("shards", [[1], [7], [2500, 900, 30], [100] * 12])
def test_the_stream_gives_every_sample_once(shards):
    order = list(stream_order(shards, np.random.default_rng(0)))
    assert sorted(order) == list(range(sum(shards)))


def test_a_uniform_shuffle_brings_far_samples_together_and_the_stream_does_not():
    """Of one shard of 8000 samples, which are learned from first: any, or those that two buffers can hold."""
    first = {}
    for shuffle in ("stream", "uniform"):
        seen: list[int] = []

        def take(rows, seen=seen):
            seen.extend(rows.tolist())
            return torch.ones(len(rows), 1), None

        recipe = Recipe(epochs=1, batch=500, shuffle=shuffle)
        train(lambda: nn.Linear(1, 1), 8000, take, lambda net, x, y: net(x).mean(), recipe, seed=0)
        assert sorted(seen) == list(range(8000))
        first[shuffle] = max(seen[:500])
    assert first["stream"] < 500 + 2000 + 512
    assert first["uniform"] > 7000


def test_the_stream_mixes_neighbours_and_not_the_ends_of_a_long_shard():
    """Two buffers of 2000 and 512: the last sample of a long shard cannot come among the first."""
    order = np.array(list(stream_order([20_000], np.random.default_rng(1))))
    assert order[:1000].max() < 6000
    assert not np.array_equal(order[:1000], np.sort(order[:1000]))


def loop(scores, seed=0, recipe=None):
    """Train a weight by known steps; the validation scores are given."""
    given = iter(scores)
    x = torch.randn(40, 3, generator=torch.Generator().manual_seed(3))
    return train(
        lambda: nn.Linear(3, 2),
        40,
        lambda rows: (x[rows], torch.from_numpy((rows % 2).astype(np.int64))),
        lambda net, x, y: nn.functional.cross_entropy(net(x), y),
        recipe or Recipe(epochs=len(scores), batch=16),
        seed=seed,
        validate=lambda net: next(given),
    )


def test_the_best_epoch_is_kept_and_the_first_of_equals():
    early = loop([0.1, 0.5, 0.5, 0.2])
    assert early.epoch == 1
    assert early.history == (0.1, 0.5, 0.5, 0.2)
    late = loop([0.1, 0.2, 0.3, 0.9])
    assert not torch.equal(early.net.weight, late.net.weight)
    assert torch.equal(early.net.weight, loop([0.1, 0.5, 0.4, 0.4]).net.weight)


def test_a_seed_gives_the_same_weights_and_leaves_the_global_generator_alone():
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    first = loop([0.0])
    assert torch.equal(torch.rand(1), expected)
    torch.manual_seed(8)
    assert torch.equal(first.net.weight, loop([0.0]).net.weight)
    assert not torch.equal(first.net.weight, loop([0.0], seed=1).net.weight)


def test_a_loss_that_is_not_finite_is_an_error():
    with pytest.raises(InputError, match="no longer finite"):
        train(
            lambda: nn.Linear(1, 1),
            4,
            lambda rows: (torch.full((len(rows), 1), torch.inf), None),
            lambda net, x, y: net(x).sum(),
            Recipe(epochs=1),
            seed=0,
        )
