"""The networks that need no file."""

from __future__ import annotations

import numpy as np
import pytest

from otoscope.core.errors import UsageError
from otoscope.core.naming import parse_spec
from otoscope.models.resolve import random_twin, resolve


@pytest.mark.parametrize("name", ["tiny-wav2vec2", "tiny-stereo"])
def test_seeds(name: str, noise) -> None:
    base, again, other = resolve(name), resolve(f"{name}:init=random,seed=0"), resolve(random_twin(parse_spec(name), 1))
    a, b, c = (m.embed([noise()])[0]["last"] for m in (base, again, other))
    assert a.shape == (64,)
    assert np.array_equal(a, b)
    assert not np.allclose(a, c)
    assert base.identity() == again.identity() != other.identity()
    assert base.card.layers[-1] == "last"


def test_the_stereo_one_hears_both_ears(noise) -> None:
    x = noise()
    flipped = type(x)(np.stack([x.samples[0], -x.samples[1]]), x.rate)
    stereo, mono = resolve("tiny-stereo"), resolve("tiny-wav2vec2")
    assert stereo.card.channels == 2
    a, b = stereo.embed([x, flipped])
    assert not np.allclose(a["last"], b["last"], atol=1e-4)
    a, b = mono.embed([x, flipped])
    assert np.array_equal(a["last"], b["last"])


def test_layers_and_sizes(noise) -> None:
    assert sorted(resolve("tiny-wav2vec2:layer=all").embed([noise()])[0]) == [0, 1, 2, 3, 4]
    deep = resolve("tiny-stereo:depth=3,width=32,layer=-1").embed([noise()])[0]
    assert {k: v.shape for k, v in deep.items()} == {3: (32,)}
    with pytest.raises(UsageError, match="makes no network"):
        resolve("tiny-wav2vec2:width=10")
    with pytest.raises(UsageError, match="no trained weights"):
        resolve("tiny-stereo:init=pretrained")


def test_the_card_of_the_mono_one_loads_nothing() -> None:
    model = resolve("tiny-wav2vec2")
    assert model.card.rate == 16000
    assert model.identity()["encoder"]["seed"] == 0
    assert model.encoder._model is None
    assert model.encoder._family is None
