"""Channel policies."""

from __future__ import annotations

import numpy as np
import pytest

from otoscope.core.audio import Audio
from otoscope.core.errors import InputError, UsageError
from otoscope.models.encoders.channels import apply_policy, check_policy, default_policy, stack_channels

X = np.random.default_rng(0).standard_normal((2, 100)).astype(np.float32)
STEREO, MONO = Audio(X, 16000), Audio(X[:1], 16000)


def heard(policy: str, sound: Audio, channels: int) -> list[np.ndarray]:
    return [a.samples for a in apply_policy(policy, sound, channels, 3, "net")]


def test_mono_networks() -> None:
    assert np.array_equal(heard("left", STEREO, 1)[0], X[:1])
    assert np.array_equal(heard("right", STEREO, 1)[0], X[1:])
    np.testing.assert_allclose(heard("sum", STEREO, 1)[0], (X[:1] + X[1:]) / 2, atol=1e-7)
    left, right = heard("per-channel-concat", STEREO, 1)
    assert np.array_equal(left, X[:1])
    assert np.array_equal(right, X[1:])


def test_an_antiphase_signal_vanishes_in_the_sum() -> None:
    assert np.array_equal(heard("sum", Audio(np.concatenate([X[:1], -X[:1]]), 16000), 1)[0], np.zeros((1, 100)))


def test_one_ear_in_both_ears_of_a_stereo_network() -> None:
    assert np.array_equal(heard("native", STEREO, 2)[0], X)
    assert np.array_equal(heard("left", STEREO, 2)[0], X[[0, 0]])
    assert np.array_equal(heard("right", STEREO, 2)[0], X[[1, 1]])


def test_mono_sounds() -> None:
    for policy in ("native", "left", "sum"):
        assert np.array_equal(heard(policy, MONO, 1)[0], X[:1])
    for policy in ("right", "per-channel-concat"):
        with pytest.raises(InputError, match=r"sound 3 has 1 channel\(s\).*needs 2"):
            heard(policy, MONO, 1)
    with pytest.raises(InputError, match="sound 3"):
        heard("native", MONO, 2)


def test_more_channels_than_two() -> None:
    many = Audio(np.ones((4, 10), dtype=np.float32), 16000)
    assert heard("native", many, 4)[0].shape == (4, 10)
    with pytest.raises(InputError, match=r"has 4 channel\(s\), channels=left needs 2"):
        heard("left", many, 1)
    with pytest.raises(UsageError, match="takes channels=native only"):
        check_policy("left", 4, "net")


def test_names() -> None:
    assert default_policy(1) == "left"
    assert default_policy(2) == "native"
    with pytest.raises(UsageError, match=r"no channels=per_channel.*Did you mean per-channel-concat"):
        check_policy("per_channel_concat", 1, "net")
    with pytest.raises(UsageError, match="is for mono encoders"):
        check_policy("per-channel-concat", 2, "net")


def test_only_mono_frames_are_stacked() -> None:
    assert stack_channels([np.ones((1, 2, 3)), np.zeros((1, 2, 3))], "net").shape == (2, 2, 3)
    with pytest.raises(InputError, match="frames of 2 channels"):
        stack_channels([np.ones((2, 2, 3)), np.ones((2, 2, 3))], "net")
