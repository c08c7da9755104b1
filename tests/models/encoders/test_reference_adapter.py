"""Reference front ends as encoders."""

from __future__ import annotations

import numpy as np
import pytest

from otoscope.core.errors import UsageError
from otoscope.models.catalogue import MODELS
from otoscope.models.resolve import resolve

NAMES = sorted(n for n in MODELS if "encoders.reference" in str(MODELS.entry(n).target))


def test_all_eight_are_there() -> None:
    assert len(NAMES) == 8


@pytest.mark.parametrize("name", NAMES)
def test_frames_are_the_front_ends_own(name: str, noise) -> None:
    model = resolve(name)
    sound = noise(0, 0.4)
    one = model.encode([sound])[0]
    expected = model.encoder.front.frames(sound.samples)
    assert np.array_equal(one.frames["last"], expected.astype(np.float32))
    assert one.hop_s == model.encoder.front.hop_s
    assert model.card.name == name
    assert model.card.cues == model.encoder.front.declared_cues
    assert model.card.summary


def test_only_drawn_weights_have_twins(noise) -> None:
    a, b = (resolve(f"random-conv:init=random,seed={s}").embed([noise()])[0]["last"] for s in (1, 2))
    assert not np.allclose(a, b)
    assert resolve("random-conv:seed=2").identity() == resolve("random-conv:init=random,seed=2").identity()
    for name in ("logmel", "gcc-phat-vector"):
        with pytest.raises(UsageError, match="no random twin"):
            resolve(f"{name}:init=random,seed=1")


def test_left_only_is_bit_equal_for_equal_left_ears(noise) -> None:
    x = noise()
    other = type(x)(np.stack([x.samples[0], -x.samples[1]]), x.rate)
    a, b = resolve("left-only").embed([x, other])
    assert np.array_equal(a["last"], b["last"])
