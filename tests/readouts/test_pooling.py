"""Pooling frames to vectors."""

from __future__ import annotations

import numpy as np
import pytest

from otoscope.core.errors import InputError, UsageError
from otoscope.readouts.pooling import MERGES, POOLS, merge_channels, pool, pool_time

FRAMES = np.random.default_rng(0).standard_normal((2, 5, 3)).astype(np.float32)


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("mean", FRAMES.astype(float).mean(1)),
        ("max", FRAMES.max(1)),
        ("first", FRAMES[:, 0]),
        ("last", FRAMES[:, -1]),
        ("meanstd", np.concatenate([FRAMES.astype(float).mean(1), FRAMES.astype(float).std(1)], axis=-1)),
    ],
)
def test_over_time(how: str, expected: np.ndarray) -> None:
    assert np.array_equal(pool_time(FRAMES, how), expected)


def test_sums_run_in_float64() -> None:
    frames = np.full((1, 1_000_001, 1), 0.1, dtype=np.float32)
    frames[0, 0] = 2.0**24  # swallows every tenth that follows in float32
    exact = (2.0**24 + 1_000_000 * float(np.float32(0.1))) / 1_000_001
    assert pool(frames)[0] == np.float32(exact)


def test_over_channels() -> None:
    v = pool_time(FRAMES)
    assert np.array_equal(merge_channels(v, "mean"), (v[0] + v[1]) / 2)
    assert np.array_equal(merge_channels(v, "concat"), np.concatenate([v[0], v[1]]))
    assert np.array_equal(merge_channels(v, "difference"), v[0] - v[1])
    assert np.array_equal(merge_channels(v, "both"), np.concatenate([(v[0] + v[1]) / 2, v[0] - v[1]]))


def test_the_mean_cancels_what_is_antisymmetric_between_the_ears() -> None:
    antisymmetric = np.concatenate([FRAMES[:1], -FRAMES[:1]])
    assert np.array_equal(pool(antisymmetric, merge="mean"), np.zeros(3))
    assert np.abs(pool(antisymmetric, merge="difference")).min() > 0.0
    assert np.abs(pool(antisymmetric, merge="concat")).min() > 0.0


def test_one_channel() -> None:
    one = FRAMES[:1]
    assert np.array_equal(pool(one, merge="mean"), pool(one, merge="concat"))
    for merge in ("difference", "both"):
        with pytest.raises(UsageError, match="needs 2 channels of frames, the encoder gives 1"):
            pool(one, merge=merge)


def test_vectors_are_float32_for_every_combination() -> None:
    for time in POOLS:
        for merge in MERGES:
            vector = pool(FRAMES.astype(np.float64), time=time, merge=merge)
            assert vector.dtype == np.float32
            assert vector.ndim == 1


@pytest.mark.parametrize("shape", [(3,), (5, 3), (1, 2, 5, 3)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"needs frames \[C, T, D\]"):
        pool(np.ones(shape))


def test_no_frames_are_refused() -> None:
    with pytest.raises(InputError, match="nothing to pool"):
        pool(np.ones((1, 0, 3)))


def test_wrong_words_name_the_right_ones() -> None:
    with pytest.raises(UsageError, match=r"there is no pool=meen. Did you mean mean\?"):
        pool(FRAMES, time="meen")
    with pytest.raises(UsageError, match=r"there is no merge=sum. It is one of: mean, concat, difference, both"):
        pool(FRAMES, merge="sum")
