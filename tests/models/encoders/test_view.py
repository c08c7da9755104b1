"""Views: what a name says about looking, and the contract on what comes out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from otoscope.core.audio import Audio
from otoscope.core.errors import InputError, ModelError, UsageError
from otoscope.core.nouns import Card, Encoded, Encoder, Layer
from otoscope.models.encoders.view import EncoderView


class Blocks:
    """RMS of blocks of 100 samples in D = 2 copies; layer k multiplies by k + 1. Remembers the batches it saw."""

    def __init__(self, channels: int = 1, keep: bool = False) -> None:
        self.channels, self.keep, self.batches = channels, keep, []

    @property
    def card(self) -> Card:
        return Card("blocks", "encoder", "", 16000, self.channels, layers=(0, 1, 2, "last"))

    def identity(self) -> Mapping[str, Any]:
        return {"blocks": self.channels, "keep": self.keep}

    def load(self) -> None:
        pass

    def encode(self, audio: Sequence[Audio], layers: Sequence[Layer] | None = None) -> list[Encoded]:
        self.batches.append([a.n for a in audio])
        out = []
        for sound in audio:
            x = sound.samples if self.keep else sound.samples.mean(axis=0, keepdims=True)
            t = x.shape[1] // 100
            rms = np.sqrt((x[:, : t * 100].reshape(len(x), t, 100) ** 2).mean(-1))
            frames = np.repeat(rms[..., None], 2, axis=-1).astype(np.float32)
            named = [2 if k == "last" else k for k in (layers or ["last"])]
            out.append(Encoded({k: frames * (n + 1) for k, n in zip(layers or ["last"], named, strict=True)}, 0.00625))
        return out


def sound(seed: int, n: int = 1000, channels: int = 2) -> Audio:
    return Audio(np.random.default_rng(seed).standard_normal((channels, n)).astype(np.float32), 16000)


def test_a_view_is_an_encoder() -> None:
    assert isinstance(EncoderView(Blocks()), Encoder)


def test_defaults_follow_the_network() -> None:
    mono, stereo = EncoderView(Blocks(1)), EncoderView(Blocks(2))
    assert (mono.policy, mono.merge) == ("left", "mean")
    assert (stereo.policy, stereo.merge) == ("native", "mean")
    assert EncoderView(Blocks(1), channels="per-channel-concat").merge == "concat"


def test_left_ignores_the_right_ear() -> None:
    x = sound(0)
    other = Audio(np.stack([x.samples[0], -3 * x.samples[1]]), 16000)
    a, b = EncoderView(Blocks()).embed([x, other])
    assert np.array_equal(a["last"], b["last"])


def test_per_channel_concat_hears_both_ears_apart() -> None:
    x = sound(0)
    view = EncoderView(Blocks(), channels="per-channel-concat")
    frames = view.encode([x])[0].frames["last"]
    assert frames.shape == (2, 10, 2)
    left, right = (EncoderView(Blocks(), channels=ear).encode([x])[0].frames["last"] for ear in ("left", "right"))
    assert np.array_equal(frames, np.concatenate([left, right]))
    vector = view.embed([x])[0]["last"]
    assert vector.shape == (4,)
    assert np.array_equal(vector[:2], EncoderView(Blocks(), channels="left").embed([x])[0]["last"])


def test_merges_reach_the_frames_of_a_stereo_network() -> None:
    x = sound(0)
    mean, difference = (
        EncoderView(Blocks(2, keep=True), merge=m).embed([x])[0]["last"] for m in ("mean", "difference")
    )
    both = EncoderView(Blocks(2, keep=True), merge="both").embed([x])[0]["last"]
    assert np.array_equal(both, np.concatenate([mean, difference]))


def test_unequal_sounds_go_apart_and_come_back_in_order() -> None:
    encoder = Blocks()
    lengths = [1000, 500, 1000, 700, 500]
    out = EncoderView(encoder).encode([sound(i, n) for i, n in enumerate(lengths)])
    assert [o.frames["last"].shape[1] for o in out] == [10, 5, 10, 7, 5]
    assert encoder.batches == [[1000, 1000], [500, 500], [700]]
    for i, n in enumerate(lengths):
        alone = EncoderView(Blocks()).encode([sound(i, n)])[0]
        assert np.array_equal(alone.frames["last"], out[i].frames["last"])


def test_batches_are_bounded() -> None:
    encoder = Blocks()
    EncoderView(encoder, batch=2).encode([sound(i) for i in range(5)])
    assert [len(b) for b in encoder.batches] == [2, 2, 1]


def test_sounds_that_are_equal_after_the_policy_are_heard_once() -> None:
    encoder = Blocks()
    x = sound(0)
    spi = Audio(np.stack([x.samples[0], -x.samples[1]]), 16000)
    a, b = EncoderView(encoder).embed([x, spi])
    assert encoder.batches == [[1000]]
    assert np.array_equal(a["last"], b["last"])
    view = EncoderView(Blocks())
    assert view.key(x) == view.key(spi)
    assert EncoderView(Blocks(), channels="right").key(x) != EncoderView(Blocks(), channels="right").key(spi)


def test_layers() -> None:
    x = sound(0)
    last = EncoderView(Blocks()).embed([x])[0]
    first = EncoderView(Blocks(), layer=0).embed([x])[0]
    assert list(last) == ["last"]
    assert list(first) == [0]
    np.testing.assert_allclose(last["last"], 3 * first[0], rtol=1e-6)
    assert list(EncoderView(Blocks()).encode([x], [0, 1])[0].frames) == [0, 1]


def test_identity_covers_everything_but_the_batch() -> None:
    base = EncoderView(Blocks())
    assert base.identity() == EncoderView(Blocks(), channels="left", batch=3).identity()
    others = [
        EncoderView(Blocks(2)),
        EncoderView(Blocks(), layer=1),
        EncoderView(Blocks(), pool="max"),
        EncoderView(Blocks(), channels="right"),
        EncoderView(Blocks(), merge="concat"),
    ]
    assert all(o.identity() != base.identity() for o in others)


def test_the_card_says_how_it_is_looked_at() -> None:
    view = EncoderView(Blocks(), layer=1, channels="sum").card.extra["view"]
    assert view == {"layer": 1, "pool": "mean", "channels": "sum", "merge": "mean"}


def test_wrong_words() -> None:
    for wrong in ({"pool": "men"}, {"merge": "avg"}, {"channels": "middle"}):
        with pytest.raises(UsageError):
            EncoderView(Blocks(), **wrong)


def test_a_wrong_rate_is_refused() -> None:
    with pytest.raises(InputError, match="sound 1 has 8000 Hz, the model takes 16000 Hz"):
        EncoderView(Blocks()).encode([sound(0), Audio(np.ones((2, 100), np.float32), 8000)])


class Broken(Blocks):
    """Spoils the output for sounds whose first sample is above 0."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how

    def encode(self, audio: Sequence[Audio], layers: Sequence[Layer] | None = None) -> list[Encoded]:
        good = super().encode(audio, layers)
        if self.how == "count":
            return good[:-1]
        return [self.spoil(one) if a.samples[0, 0] > 0 else one for a, one in zip(audio, good, strict=True)]

    def spoil(self, one: Encoded) -> Encoded:
        x = one.frames["last"]
        nan = x.copy()
        nan[0, 0, 0] = np.nan
        made = {
            "nan": {"last": nan},
            "flat": {"last": x[0]},
            "integers": {"last": x.astype(int)},
            "empty": {"last": x[:, :0]},
            "list": {"last": x.tolist()},
            "nothing": {},
        }
        return Encoded(made[self.how], None)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("nan", "layer last of sound 2 holds 1 NaN or infinite"),
        ("flat", r"layer last of sound 2 has shape \(10, 2\), expected \[C, T, D\]"),
        ("integers", "layer last of sound 2 is int64"),
        ("empty", "layer last of sound 2 is empty"),
        ("list", "layer last of sound 2 is list"),
        ("nothing", "gave no layer for sound 2"),
        ("count", "gave 2 outputs for 3 sounds"),
    ],
)
def test_broken_outputs_name_the_sound(how: str, message: str) -> None:
    rng = np.random.default_rng(0)
    sounds = []
    for first in (-1.0, -1.0, 1.0):
        x = rng.standard_normal((2, 1000)).astype(np.float32)
        x[0, 0] = first
        sounds.append(Audio(x, 16000))
    with pytest.raises(ModelError, match=message):
        EncoderView(Broken(how)).encode(sounds)


def test_no_sounds_no_load() -> None:
    assert EncoderView(Blocks()).embed([]) == []


def test_an_encoder_that_cannot_be_made_again_says_so() -> None:
    with pytest.raises(ModelError, match="second time"):
        EncoderView(Blocks()).fresh()
