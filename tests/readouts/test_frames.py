"""Readouts of frames, layers and captions learn what is there, and count as the publication or the field does."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score

from otoscope.core.errors import InputError, ModelError
from otoscope.readouts import segments
from otoscope.readouts.attention import Attention
from otoscope.readouts.frame import FrameHead
from otoscope.readouts.gradient import Recipe, stream_order
from otoscope.readouts.jackknife import f1_shares
from otoscope.readouts.layer_mix import LayerMix
from otoscope.readouts.probe import Examples, accuracy
from otoscope.readouts.ragged import Ragged
from otoscope.readouts.retrieval import Retrieval, TwoSides
from otoscope.readouts.wer import wer_shares, word_errors
from otoscope.readouts.words import Vocabulary, words
from otoscope.readouts.xares_head import XaresHead


def moments(n=160, dim=8, classes=4, seed=0):
    """Noise of 12 to 40 frames in which one frame, anywhere, is that of the class."""
    rng = np.random.default_rng(seed)
    y = rng.integers(classes, size=n)
    parts = []
    for c in y:
        x = rng.standard_normal((int(rng.integers(12, 40)), dim)).astype(np.float32)
        x[rng.integers(len(x))] = 6 * np.eye(dim, dtype=np.float32)[c]
        parts.append(x)
    return Ragged(parts), y


def test_attention_finds_a_moment_that_the_mean_drowns():
    (x, y), (test, truth) = moments(seed=1), moments(seed=2)
    recipe = Recipe(epochs=40, lr=1e-2)
    fitted = Attention(width=16, recipe=recipe).fit(Examples(x, y, 4), None, accuracy, 0)
    mean, held = (np.stack([p.mean(axis=0) for p in r.parts]) for r in (x, test))
    plain = XaresHead(recipe).fit(Examples(mean, y, 4), None, accuracy, 0)
    found = accuracy(fitted.scores(test), truth)
    assert found > 0.9
    assert found > accuracy(plain.scores(held), truth) + 0.1


def test_attention_gives_a_sound_the_same_whatever_is_in_its_batch():
    x, y = moments()
    fitted = Attention(width=16, recipe=Recipe(epochs=2)).fit(Examples(x, y, 4), None, accuracy, 0)
    alone = fitted.scores(x[np.array([3])])
    np.testing.assert_allclose(fitted.scores(x)[3:4], alone, atol=1e-5)
    frames, real = x[np.arange(5)].padded()
    weights = fitted.net.weights(torch.from_numpy(frames), torch.from_numpy(real)).detach().numpy()
    assert np.allclose(weights.sum(axis=1), 1, atol=1e-5)
    assert (weights[~real] == 0).all()


def test_a_layer_mix_gives_its_weight_to_the_layer_that_knows():
    rng = np.random.default_rng(0)
    y = rng.integers(3, size=400)
    x = rng.standard_normal((400, 4, 12)).astype(np.float32)
    x[:, 2, :3] += 2 * np.eye(3, dtype=np.float32)[y]
    x[:, 3] *= 100  # a loud layer that knows nothing
    fitted = LayerMix(Recipe(epochs=40, lr=2e-2)).fit(Examples(x[:300], y[:300], 3), None, accuracy, 0)
    assert fitted.layer_weights.argmax() == 2
    assert fitted.layer_weights.sum() == pytest.approx(1)
    assert fitted.layer_weights[2] > 0.5
    assert accuracy(fitted.scores(x[300:]), y[300:]) > 0.75


def test_ragged_frames_refuse_what_they_are_not():
    with pytest.raises(InputError, match="T from 1 on"):
        Ragged([np.zeros((0, 3), np.float32)])
    with pytest.raises(InputError, match="differ in width"):
        Ragged([np.zeros((1, 3), np.float32), np.zeros((1, 4), np.float32)])
    with pytest.raises(InputError, match="how far apart"):
        Ragged([np.zeros((1, 3), np.float32)]).hop()


# --- events in time ---------------------------------------------------------------------------------------------


def timelines(n=40, hop=0.1, seed=0):
    """Sounds of 3 to 6 s with one event of each of two classes at most; a frame's first two values say which hold."""
    rng = np.random.default_rng(seed)
    parts, events = [], []
    for _ in range(n):
        end = rng.uniform(3, 6)
        own = [(a := rng.uniform(0, end - 1), a + rng.uniform(0.5, 1), c) for c in range(2) if rng.random() < 0.7]
        y = segments.sound_grid(own, 2, hop, round(end / hop))
        noise = 0.2 * rng.standard_normal((len(y), 6))
        noise[:, :2] += 2 * y
        noise[:, 5] += 3  # a LayerNorm would else make frames of nothing as loud as those of something
        parts.append(noise.astype(np.float32))
        events.append(own)
    return Ragged(parts, hop), events


@pytest.mark.parametrize("hidden", [None, 32])
def test_a_frame_head_says_when(hidden):
    (x, events), (test, truth) = timelines(seed=1), timelines(seed=2)
    y = [segments.sound_grid(e, 2, 0.1, len(p)) for e, p in zip(events, x.parts, strict=True)]
    fitted = FrameHead(Recipe(epochs=30, batch=8, lr=1e-2), hidden=hidden).fit(x, y, None, 0)
    scores = fitted.scores(test)
    assert [len(z) for z in scores] == test.lengths.tolist()
    counts = [segments.sound_counts(z > 0, e, 0.1, 1.0) for z, e in zip(scores, truth, strict=True)]
    tp, fp, fn = (np.stack(c) for c in zip(*counts, strict=True))
    assert f1_shares(tp, fp, fn, "macro").mean() > 0.75  # a stretch that an event barely touches is missed


def test_padding_counts_in_the_published_head_alone():
    """A long neighbour fills a short sound up with frames of nothing, which the published loss learns from."""
    x, events = timelines(8)
    y = [segments.sound_grid(e, 2, 0.1, len(p)) for e, p in zip(events, x.parts, strict=True)]
    longer = Ragged([*x.parts, np.zeros((400, 6), np.float32)], 0.1)
    more = [*y, np.zeros((400, 2), np.float32)]
    recipe = Recipe(epochs=1, batch=9)
    for padding, differs in (("counted", True), ("masked", False)):
        head = FrameHead(recipe, padding=padding)  # type: ignore[arg-type]
        scores = head.fit(longer, more, None, 0).scores(longer)
        assert (len(scores[0]) == 400) is differs


@pytest.mark.parametrize("average", ["macro", "micro"])
def test_published_segments_are_the_published_arithmetic(average):
    """torch's pooling by maximum and scikit-learn's F1, as that code has it."""
    rng = np.random.default_rng(0)
    said, truth = rng.random((3, 57, 4)) > 0.8, rng.random((3, 57, 4)) > 0.8
    hop, seg = 0.02, 0.1
    size = math.ceil(seg / hop)
    pooled = [
        torch.nn.functional.max_pool1d(torch.from_numpy(a.astype(np.float32)).transpose(-2, -1), size)
        .transpose(-2, -1).flatten(0, 1).long().numpy()
        for a in (said, truth)
    ]  # fmt: skip
    counts = [segments.published_counts(a, b, hop, seg) for a, b in zip(said, truth, strict=True)]
    tp, fp, fn = (np.stack(c) for c in zip(*counts, strict=True))
    expected = f1_score(pooled[1], pooled[0], average=average)
    assert f1_shares(tp, fp, fn, average).mean() == pytest.approx(expected, abs=1e-12)


def test_published_targets_round_up_and_keep_to_the_grid():
    y = segments.published_grid([(0.11, 0.29, 0), (0.9, 3.0, 1)], 2, 0.1, 1.0)
    assert len(y) == 10
    assert np.flatnonzero(y[:, 0]).tolist() == [2]  # ceil(1.1) to ceil(2.9), half open
    assert np.flatnonzero(y[:, 1]).tolist() == [9]
    assert len(segments.published_grid([(0, 0.35, 0)], 1, 0.1, None)) == 4
    assert len(segments.published_grid([(0, 0.35, 0)], 1, 0.1, None, 9)) == 9
    assert np.flatnonzero(segments.sound_grid([(0.11, 0.29, 0)], 1, 0.1, 5)[:, 0]).tolist() == [1, 2]


def test_sound_segments_keep_the_last_stretch_and_the_published_ones_drop_it():
    said = np.zeros((25, 1), dtype=bool)
    said[22] = True
    events = [(2.1, 2.4, 0)]
    assert [c.tolist() for c in segments.sound_counts(said, events, 0.1, 1.0)] == [[1], [0], [0]]
    truth = segments.published_grid(events, 1, 0.1, None, 25) > 0
    assert [c.tolist() for c in segments.published_counts(said, truth, 0.1, 1.0)] == [[0], [0], [0]]


# --- captions ---------------------------------------------------------------------------------------------------

THINGS = ("dog", "bell", "rain", "train", "bird", "door", "engine", "clock")


def captioned(n=64, seed=0):
    rng = np.random.default_rng(seed)
    what = np.arange(n) % len(THINGS)
    x = np.eye(len(THINGS), dtype=np.float32)[what] + 0.1 * rng.standard_normal((n, len(THINGS))).astype(np.float32)
    said = [[f"a {THINGS[w]} is heard", f"the sound of a {THINGS[w]}"] for w in what]
    return x, said


@pytest.mark.parametrize("published", [True, False])
def test_retrieval_finds_captions_of_held_out_clips(published):
    (x, said), (test, truth) = captioned(), captioned(8, seed=5)
    head = Retrieval(Recipe(epochs=12, batch=16, lr=3e-3), width=32, published=published)
    shares, found = head.fit(x, said, None, 0).recall_at_1(test, truth)
    assert shares.mean() > 0.9
    assert found[0] in truth[0]
    wrong = [truth[(k + 1) % 8] for k in range(8)]
    assert head.fit(x, said, None, 0).recall_at_1(test, wrong)[0].mean() < 0.2


def test_the_published_loss_is_the_published_arithmetic_and_ours_shares_a_clips_captions():
    net = TwoSides(5, 11, 7)
    torch.manual_seed(0)
    x, tokens, real = torch.randn(4, 5), torch.randint(1, 11, (4, 3)), torch.ones(4, 3)
    clip = torch.tensor([0, 0, 1, 2])
    a, t = net.sound(x), net.text(tokens, real)
    s = net.log_scale.exp() * a @ t.T
    diagonal = torch.nn.functional.cross_entropy
    own = torch.arange(4)
    expected = (diagonal(s, own) + diagonal(s.T, own)) / 2
    expected = expected + sum(v.abs().mean() / v.norm() for v in (a, t))
    assert torch.allclose(Retrieval(published=True)._loss(net, (x, tokens, real), clip), expected, atol=1e-6)
    a, t = (torch.nn.functional.normalize(v, dim=-1) for v in (a, t))
    s = net.log_scale.exp() * a @ t.T
    both = (s[:2].log_softmax(1)[:, :2].mean(1).sum() + s[2:].log_softmax(1)[[0, 1], [2, 3]].sum()) / -4
    back = s.T
    both = both + (back[:2].log_softmax(1)[:, :2].mean(1).sum() + back[2:].log_softmax(1)[[0, 1], [2, 3]].sum()) / -4
    assert torch.allclose(Retrieval()._loss(net, (x, tokens, real), clip), both / 2, atol=1e-6)


def test_captions_of_a_clip_stay_close_in_the_stream():
    order = list(stream_order([3000], np.random.default_rng(0), [5] * 3000))
    assert sorted(order) == list(range(15_000))
    at = np.empty(15_000, dtype=int)
    at[order] = np.arange(15_000)
    spread = np.ptp(at.reshape(3000, 5), axis=1)
    assert np.median(spread) < 2000
    assert list(stream_order([50], np.random.default_rng(0))) == list(
        stream_order([50], np.random.default_rng(0), [1] * 50)
    )


def test_vocabularies():
    own = Vocabulary.of(["A dog's bark.", "a bell"])
    assert own.size == 5
    assert own.ids("a whale") == [1, 0]
    assert words("It's two-way, 3x") == ["it's", "two", "way", "3x"]
    with pytest.raises(ModelError, match="tokenizer=words"):
        Vocabulary.pretrained("/no/such/folder")
    with pytest.raises(InputError, match="no caption"):
        Retrieval().fit(np.zeros((1, 2), np.float32), [[]], None, 0)


def test_word_errors_and_their_shares():
    errors, n = word_errors(["The cat sat", "hello", ""], ["the cat sat down", "hello, you", ""], plain=True)
    assert errors.tolist() == [1, 1, 0]
    assert n.tolist() == [4, 2, 0]
    assert word_errors(["hello"], ["hello,"])[0].tolist() == [1]  # the published score keeps marks
    assert wer_shares(errors, n).mean() == pytest.approx(1 - 2 / 6)
    assert wer_shares(np.array([9.0]), np.array([3.0])).tolist() == [0]
