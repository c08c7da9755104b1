"""Every probe learns what can be learned; the X-ARES ones are what the published code does."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score
from torch import nn

from otoscope.core.errors import InputError, UsageError
from otoscope.readouts.gradient import Recipe
from otoscope.readouts.knn import Knn
from otoscope.readouts.linear import Linear
from otoscope.readouts.mlp import Mlp
from otoscope.readouts.precision import macro_ap, mean_average_precision
from otoscope.readouts.probe import Examples, accuracy
from otoscope.readouts.xares_head import XaresHead


def blobs(n=240, n_classes=4, dim=16, seed=0, spread=0.4):
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).standard_normal((n_classes, dim))
    y = rng.integers(n_classes, size=n)
    x = centres[y] + spread * rng.standard_normal((n, dim))
    return Examples(x.astype(np.float32), y, n_classes)


PROBES = [
    XaresHead(Recipe(epochs=20, lr=1e-2)),
    Mlp(hidden=32, recipe=Recipe(epochs=20, lr=1e-2)),
    Linear(),
    Knn("cosine"),
]


@pytest.mark.parametrize("probe", PROBES, ids=lambda p: p.name)
def test_a_probe_learns_classes_that_lie_apart_and_not_shuffled_ones(probe):
    train, valid, test = blobs(seed=1), blobs(60, seed=2), blobs(200, seed=3)
    fitted = probe.fit(train, valid, accuracy, 0)
    assert fitted.scores(test.x).shape == (200, 4)
    assert accuracy(fitted.scores(test.x), test.y) > 0.95
    shuffled = Examples(train.x, np.random.default_rng(5).permutation(train.y), 4)
    assert accuracy(probe.fit(shuffled, None, accuracy, 0).scores(test.x), test.y) < 0.5


@pytest.mark.parametrize("probe", [p for p in PROBES if p.many], ids=lambda p: p.name)
def test_a_probe_of_several_classes_at_once(probe):
    rng = np.random.default_rng(0)
    way = rng.standard_normal((3, 12))
    x = rng.standard_normal((400, 12)).astype(np.float32)
    y = (x @ way.T > 0).astype(np.float32)
    fitted = probe.fit(Examples(x[:300], y[:300], 3), None, mean_average_precision, 0)
    assert mean_average_precision(fitted.scores(x[300:]), y[300:]) > 0.9


@pytest.mark.parametrize("probe", PROBES, ids=lambda p: p.name)
def test_a_class_absent_from_training_is_accepted_and_never_chosen_by_counting_or_convex_probes(probe):
    train = blobs(seed=1)
    here = train.take(np.flatnonzero(train.y != 2))
    test = blobs(100, seed=3)
    scores = probe.fit(here, None, accuracy, 0).scores(test.x)
    assert scores.shape == (100, 4)
    if not probe.seeded:
        assert 2 not in scores.argmax(axis=1)


def test_the_xares_head_is_layernorm_and_linear_with_adam_and_the_epoch_cosine():
    """The same head written out: equal weights after three epochs of the same batches."""
    data = blobs(70, seed=4)
    recipe = Recipe(epochs=3, batch=32)
    fitted = XaresHead(recipe).fit(data, None, accuracy, 42)
    assert [type(m).__name__ for m in fitted.net] == ["LayerNorm", "Linear"]
    with torch.random.fork_rng():
        torch.manual_seed(42)
        net = nn.Sequential(nn.LayerNorm(16), nn.Linear(16, 4))
        opt = torch.optim.Adam(net.parameters(), lr=1e-3)
        rng = np.random.default_rng(42)
        for rate in recipe.rates():
            opt.param_groups[0]["lr"] = rate
            order = rng.permutation(70)
            for rows in (order[:32], order[32:64], order[64:]):
                opt.zero_grad()
                logits = net(torch.from_numpy(data.x[rows]))
                nn.functional.cross_entropy(logits, torch.from_numpy(data.y[rows])).backward()
                opt.step()
    for ours, theirs in zip(fitted.net.parameters(), net.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def xares_knn(train, labels, test, k=10, temperature=0.07, n_classes=4):
    """The published arithmetic in torch: the training matrix is transposed, then normalised along dimension 1."""
    bank = nn.functional.normalize(torch.from_numpy(train).T, dim=1, p=2)
    similarity, at = (nn.functional.normalize(torch.from_numpy(test), dim=1, p=2) @ bank).topk(k)
    vote = torch.softmax(similarity / temperature, 1)
    hot = nn.functional.one_hot(torch.from_numpy(labels)[at], n_classes)
    return (hot * vote[..., None]).sum(1).numpy()


def test_the_xares_knn_equals_the_published_arithmetic():
    train, test = blobs(300, seed=1, spread=2.0), blobs(50, seed=2, spread=2.0)
    ours = Knn("xares").fit(train, None, accuracy, 0).scores(test.x)
    np.testing.assert_allclose(ours, xares_knn(train.x, train.y, test.x), atol=1e-6)


def test_the_wrong_axis_costs_accuracy_where_norms_and_offsets_vary():
    """The quirk: anisotropic offsets and varying norms, which cosine similarity does not care about."""
    rng = np.random.default_rng(0)
    centres, y = rng.standard_normal((8, 32)), rng.integers(8, size=900)
    x = centres[y] + 1.5 * rng.standard_normal((900, 32)) + 3 * (np.arange(32) % 4 == 0)
    x *= rng.lognormal(0, 1.5, size=(900, 1))
    data = Examples(x.astype(np.float32), y, 8)
    train, test = data.take(np.arange(700)), data.take(np.arange(700, 900))
    score = {
        m: accuracy(Knn(m).fit(train, None, accuracy, 0).scores(test.x), test.y)  # type: ignore[arg-type]
        for m in ("xares", "cosine")
    }
    assert score["cosine"] > score["xares"] + 0.2


def test_cosine_does_not_change_with_the_length_of_vectors_and_xares_does():
    train, test = blobs(100, seed=1, spread=1.5), blobs(40, seed=2, spread=1.5)
    longer = Examples(train.x * np.linspace(0.1, 10, 100, dtype=np.float32)[:, None], train.y, 4)
    for metric, same in (("cosine", True), ("xares", False)):
        a, b = (Knn(metric).fit(t, None, accuracy, 0).scores(test.x) for t in (train, longer))
        assert np.allclose(a, b, atol=1e-5) is same


def test_knn_refuses_what_it_cannot_vote_on():
    with pytest.raises(InputError, match="10 neighbours are asked for, and there are 5"):
        Knn().fit(blobs(5), None, accuracy, 0)
    with pytest.raises(UsageError, match="several at once"):
        Knn().fit(Examples(np.zeros((20, 2), np.float32), np.zeros((20, 3)), 3), None, accuracy, 0)
    with pytest.raises(UsageError, match="no kNN metric"):
        Knn("euclid")  # type: ignore[arg-type]


def test_examples_say_what_is_wrong_with_them():
    with pytest.raises(InputError, match="class numbers"):
        Examples(np.zeros((2, 3), np.float32), np.array([0, 4]), 4)
    with pytest.raises(InputError, match="NaN"):
        Examples(np.full((2, 3), np.nan, np.float32), np.array([0, 1]), 4)


@pytest.mark.parametrize("ties", [False, True])
def test_average_precision_is_scikit_learns_with_weights(ties):
    rng = np.random.default_rng(0)
    scores = rng.standard_normal((60, 5)) if not ties else rng.integers(4, size=(60, 5)).astype(float)
    truth = rng.integers(2, size=(60, 5))
    weights = np.stack([np.ones(60), rng.integers(4, size=60).astype(float)])
    found = macro_ap(scores, truth, weights)
    for w, value in zip(weights, found, strict=True):
        assert value == pytest.approx(average_precision_score(truth, scores, sample_weight=w), abs=1e-12)


def test_a_class_without_a_positive_counts_as_nothing_or_is_left_out():
    scores, truth = np.array([[0.9, 0.1], [0.1, 0.2]]), np.array([[1, 0], [0, 0]])
    assert macro_ap(scores, truth)[0] == 0.5
    assert macro_ap(scores, truth, absent="skip")[0] == 1.0
