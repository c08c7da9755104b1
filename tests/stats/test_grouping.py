from __future__ import annotations

import numpy as np
import pytest

from otoscope.core.errors import InputError, UsageError
from otoscope.stats.grouping import group_codes, group_sums, resample_groups, scheme_of


def test_codes_follow_sorted_labels_whatever_their_type() -> None:
    as_list, count = group_codes(["b", "a", "b", "c"], 4)
    as_array, _ = group_codes(np.array(["b", "a", "b", "c"]), 4)
    assert as_list.tolist() == as_array.tolist() == [1, 0, 1, 2]
    assert count == 3
    mixed, count = group_codes([1, "1", ("x", 2), None, 1], 5)
    assert count == 4
    assert mixed[0] == mixed[4]
    assert len(set(mixed[:4].tolist())) == 4


@pytest.mark.parametrize(
    ("groups", "words"),
    [(["a"], "1 group labels for 2 items"), ([["a"], ["b"]], "cannot be hashed"), ([1.0, float("nan")], "NaN")],
)
def test_unusable_labels_are_refused(groups: list[object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        group_codes(groups, 2)  # type: ignore[arg-type]


def test_a_drawn_group_brings_all_its_rows() -> None:
    groups = np.repeat(np.arange(25), np.arange(25) % 4 + 1)
    sizes = np.bincount(groups)
    for rows in resample_groups(groups, 50, seed=1):
        drawn = np.bincount(groups[rows], minlength=25)
        times = drawn // sizes
        assert (drawn == times * sizes).all()
        assert times.sum() == 25
        assert (np.bincount(rows, minlength=len(groups)) == times[groups]).all()


def test_few_groups_keep_their_sizes_and_items_vary_within() -> None:
    groups = np.repeat(np.arange(4), [3, 5, 2, 6])
    scheme = scheme_of(groups, len(groups))
    assert scheme.within_groups
    assert "does not reach new groups" in scheme.note
    draws = list(resample_groups(groups, 30, seed=2))
    assert all(np.bincount(groups[rows]).tolist() == [3, 5, 2, 6] for rows in draws)
    assert len({tuple(sorted(rows)) for rows in draws}) > 20


def test_groups_of_one_item_are_the_items() -> None:
    scheme = scheme_of(list("abcde"), 5)
    assert not scheme.within_groups
    assert "the 5 items are the groups" in scheme.note
    rows = np.array(list(resample_groups(list("abcde"), 200, seed=0)))
    assert rows.shape == (200, 5)
    assert (np.sort(rows, axis=1) != np.arange(5)).any()


def test_lone_items_among_few_groups_are_drawn_among_themselves() -> None:
    groups = ["a", "a", "b", "c", "d", "e", "e", "e"]
    scheme = scheme_of(groups, 8)
    assert "groups of one item (3) pooled" in scheme.note
    for rows in resample_groups(groups, 100, seed=3):
        assert np.isin(rows, [2, 3, 4]).sum() == 3
        assert np.isin(rows, [0, 1]).sum() == 2


def test_draws_do_not_depend_on_how_many_are_asked_for() -> None:
    groups = np.arange(40) // 2
    few, many = list(resample_groups(groups, 10, seed=7)), list(resample_groups(groups, 300, seed=7))
    assert all((a == b).all() for a, b in zip(few, many, strict=False))
    other = next(resample_groups(groups, 1, seed=8))
    assert (other != few[0]).any()


def test_group_sums_match_a_loop() -> None:
    rng = np.random.default_rng(0)
    values, codes = rng.normal(size=(3, 50)), rng.integers(0, 12, 50)
    sums, sizes = group_sums(values, codes)
    present = np.unique(codes)
    np.testing.assert_allclose(sums, np.stack([values[:, codes == g].sum(axis=1) for g in present], axis=1))
    assert sizes.tolist() == [float((codes == g).sum()) for g in present]


def test_nothing_to_resample_is_refused() -> None:
    with pytest.raises(InputError, match="no items"):
        scheme_of([], 0)
    with pytest.raises(UsageError, match="min_groups"):
        scheme_of([1, 2], 2, min_groups=1)
