"""What the published reading order, batches and keys do to a part: counted here as webdataset would do it."""

from __future__ import annotations

import pytest

from otoscope.tasks.probes.stream import Unit, n_crops, units


def of(durations, crops="xares", crop_s=None, batch=4, shards=None, **more):
    names = shards or ["a"] * len(durations)
    return units(names, lambda i: durations[i], crop_s=crop_s, crops=crops, batch=batch, **more)


def test_a_batch_is_known_to_each_of_its_items():
    found = of([1.0] * 6, batch=4)
    assert [u.batch for u in found] == [(0, 1, 2, 3)] * 4 + [(4, 5)] * 2


def test_with_batches_of_one_nothing_is_padded():
    assert {len(u.batch) for u in of([1.0, 2.0, 3.0], batch=1)} == {1}


def test_of_a_clip_within_one_batch_only_the_first_crop_can_be_read_back():
    found = of([30.0, 30.0], crop_s=10, batch=16)
    assert [(u.clip, u.crop) for u in found] == [(0, 0), (1, 0)]
    assert [(u.clip, u.crop) for u in of([30.0, 30.0], "all", crop_s=10)] == [(c, k) for c in (0, 1) for k in (0, 1, 2)]


def test_where_a_batch_begins_inside_a_clip_another_crop_survives():
    assert [(u.clip, u.crop) for u in of([30.0, 30.0], crop_s=10, batch=4)] == [(0, 0), (1, 0), (1, 1)]


def test_at_the_end_of_a_stored_shard_a_name_may_come_again():
    assert [u.crop for u in of([50.0], crop_s=10, batch=16, per_shard=3)] == [0, 3]


def test_first_takes_one_crop_of_every_clip():
    assert of([30.0, 5.0], "first", crop_s=10) == [Unit(0, 0, (0,)), Unit(1, 0, (1,))]


@pytest.mark.parametrize(("duration", "n"), [(29.9, 2), (30.0, 3), (3.0, 1), (10.0, 1)])
def test_the_rest_of_a_clip_is_dropped_and_a_short_one_is_kept(duration, n):
    assert n_crops(duration, 10) == n


def test_archives_are_dealt_to_readers_whose_batches_come_in_turn():
    shards = ["a"] * 3 + ["b"] * 3 + ["c"] * 2
    order = [u.clip for u in of([1.0] * 8, batch=2, shards=shards, workers=2)]
    # Reader 0 has archives a and c, reader 1 has b: batches of two by turns.
    assert order == [0, 1, 3, 4, 2, 6, 5, 7]
    assert [u.clip for u in of([1.0] * 8, batch=2, shards=shards, workers=1)] == list(range(8))
