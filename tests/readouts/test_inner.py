"""The inner split keeps groups whole and classes present."""

from __future__ import annotations

import numpy as np
import pytest

from otoscope.core.errors import InputError
from otoscope.readouts.inner import inner_split


@pytest.mark.parametrize("several", [False, True])
def test_no_group_is_on_both_sides(several):
    rng = np.random.default_rng(0)
    groups = np.array([f"g{i}" for i in rng.integers(12, size=200)])
    y = rng.integers(2, size=(200, 3)) if several else rng.integers(4, size=200)
    for seed in range(5):
        train, held = inner_split(y, groups, seed)
        assert not set(groups[train]) & set(groups[held])
        assert sorted([*train, *held]) == list(range(200))
        assert 10 < len(held) < 80


def test_another_seed_holds_back_another_part():
    groups = np.array([f"g{i // 3}" for i in range(90)])
    y = np.arange(90) % 3
    assert len({tuple(inner_split(y, groups, s)[1]) for s in range(5)}) > 1


@pytest.mark.parametrize("each", [1, 2, 3])
def test_few_clips_of_each_class_are_split_too(each):
    y = np.repeat(np.arange(4), each)
    train, held = inner_split(y, np.arange(len(y)).astype(str), 0)
    assert sorted([*train, *held]) == list(range(len(y)))
    assert len(train) >= len(held) >= 1


def test_a_single_group_is_refused():
    with pytest.raises(InputError, match="one group only"):
        inner_split(np.arange(10) % 2, np.array(["a"] * 10), 0)


def test_classes_that_live_in_one_group_stay_where_they_can_be_learned():
    groups = np.array(["a", "b", "c", "d", "e", "f"] * 4)
    y = np.where(groups == "a", 1, 0)
    train, _ = inner_split(y, groups, 0)
    assert set(y[train]) == {0, 1}
