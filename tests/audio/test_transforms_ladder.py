"""The table of rungs, and transforms as JSON."""

from __future__ import annotations

import json

import numpy as np
import pytest

from otoscope.audio.binaural import BinauralSpec
from otoscope.audio.stimuli import triplet
from otoscope.audio.transforms.base import Chain, Transform
from otoscope.audio.transforms.highpass import HighPass
from otoscope.audio.transforms.ladder import from_description, ladder
from otoscope.audio.transforms.levels import LevelRove
from otoscope.audio.transforms.rewrites import Rewrite
from otoscope.core.errors import UsageError

RUNGS = ladder()


def test_all_rungs_of_the_sheet_are_there() -> None:
    assert {k.split("-")[0] for k in RUNGS} == {f"L{i}" for i in range(16)}
    assert all(k == r.id and r.title and r.expect_phase_blind and r.expect_phase_using for k, r in RUNGS.items())
    assert {r.origin for r in RUNGS.values()} == {"paper", "ours"}


def test_kinds_say_what_a_transform_works_on() -> None:
    for rung in RUNGS.values():
        if rung.kind == "model":
            assert rung.transform is None
            assert rung.id == "L13"
            assert rung.note
        elif rung.kind == "spec":
            assert isinstance(rung.transform, Rewrite)
            assert rung.transform(BinauralSpec()) != BinauralSpec()
        else:
            assert isinstance(rung.transform, Transform)


@pytest.mark.parametrize("name", [k for k, r in RUNGS.items() if r.transform is not None])
def test_json_round_trip(name: str) -> None:
    transform = RUNGS[name].transform
    assert transform is not None
    text = json.dumps(transform.describe(), sort_keys=True, allow_nan=False)
    assert from_description(json.loads(text)) == transform


def test_a_chain_round_trips_and_does_what_its_steps_do() -> None:
    chain = Chain((HighPass(order=12, mask_db=-30.0), LevelRove(2.0)))
    back = from_description(json.loads(json.dumps(chain.describe())))
    assert back == chain
    three = triplet(BinauralSpec(duration_s=0.25), 0, 16000)
    a, b = chain.apply(three, 16000, 1), back.apply(three, 16000, 1)
    assert all(np.array_equal(a[k], b[k]) for k in three)


@pytest.mark.parametrize(
    "description",
    [
        {}, {"class": "Polish", "version": 1}, {"class": "HighPass", "version": 99},
        {"class": "HighPass", "version": 1, "colour": 3},
    ],
)  # fmt: skip
def test_other_descriptions_are_refused(description: dict) -> None:
    with pytest.raises(UsageError):
        from_description(description)
