"""Shapes that users return, layers that they ask for, batches of one length."""

from __future__ import annotations

import numpy as np
import pytest

from otoscope.core.audio import Audio
from otoscope.core.errors import ModelError, UsageError
from otoscope.models.encoders.contract import as_frames, equal_length_batches, pick_layers, select_layers


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((3, 8), (3, 1, 1, 8)), ((3, 5, 8), (3, 1, 5, 8)), ((3, 2, 5, 8), (3, 2, 5, 8)), ((3, 1, 5, 8), (3, 1, 5, 8))],
)
def test_accepted_shapes(shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
    x = np.arange(np.prod(shape), dtype=np.float64).reshape(shape)
    frames = as_frames(x, 3, 2, "net")
    assert frames.shape == expected
    assert frames.dtype == np.float32
    assert np.array_equal(frames.reshape(-1), x.reshape(-1))


@pytest.mark.parametrize("shape", [(8,), (2, 8), (3, 3, 5, 8), (3, 2, 5, 8, 1)])
def test_refused_shapes(shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match=r"gave shape .* for a batch of 3 sounds with 2 channel"):
        as_frames(np.zeros(shape), 3, 2, "net")


def test_integers_are_refused() -> None:
    with pytest.raises(ModelError, match="int64"):
        as_frames(np.zeros((3, 4), dtype=np.int64), 3, 1, "net")


def test_numbered_layers() -> None:
    assert select_layers(None, 5, "net") == {"last": 4}
    assert select_layers(["all"], 3, "net") == {0: 0, 1: 1, 2: 2}
    assert select_layers([-1, 0], 5, "net") == {4: 4, 0: 0}
    for wrong in (5, -6, "first", True):
        with pytest.raises(UsageError, match=r"no layer .*Layers are 0..4, last or all"):
            select_layers([wrong], 5, "net")


def test_named_layers() -> None:
    states = {"stem": 1, "body": 2}
    assert pick_layers(states, None, "net") == {"last": 2}
    assert pick_layers(states, ["stem", "last"], "net") == {"stem": 1, "last": 2}
    assert pick_layers(states, ["all"], "net") == states
    with pytest.raises(UsageError, match="It has stem, body"):
        pick_layers(states, [1], "net")
    assert pick_layers({0: 1, 1: 2, "last": 3}, [-1], "net") == {1: 2}


def test_batches_are_a_function_of_the_order() -> None:
    sounds = [Audio(np.ones((1, n), np.float32), 16000) for n in (5, 3, 5, 5, 3)]
    assert equal_length_batches(sounds, 2) == [[0, 2], [3], [1, 4]]
