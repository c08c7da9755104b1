"""Random twins of checkpoints: same architecture, fresh weights, from a seed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from otoscope.core.errors import UsageError
from otoscope.core.naming import parse_spec
from otoscope.models.resolve import random_twin, resolve


@pytest.mark.parametrize("family", ["hubert", "whisper", "encodec48", "mimi", "xcodec", "wav2vec2_bert"])
def test_a_twin_equals_itself_and_no_other(checkpoint, noise, family: str) -> None:
    spec = parse_spec(str(checkpoint(family)))
    trained = resolve(spec)
    sound = noise(1, 0.5, trained.card.rate)
    outer = torch.random.get_rng_state()
    one, again, other = (resolve(random_twin(spec, s)) for s in (1, 1, 2))
    a, b, c = (m.embed([sound])[0]["last"] for m in (one, again, other))
    assert np.array_equal(a, b)
    assert not np.allclose(a, c)
    assert not np.allclose(a, trained.embed([sound])[0]["last"])
    assert one.identity() == again.identity() != other.identity()
    assert one.identity() != trained.identity()
    assert torch.equal(outer, torch.random.get_rng_state())  # nobody else's random numbers were used up
    assert one.card.extra["init"] == "random"
    assert one.card.layers == trained.card.layers


def test_a_twin_needs_no_weights(checkpoint, tmp_path, noise) -> None:
    import shutil

    folder = shutil.copytree(checkpoint("hubert"), tmp_path / "weightless")
    (folder / "model.safetensors").unlink()
    a = resolve(f"{folder}:init=random,seed=1").embed([noise()])[0]["last"]
    assert np.array_equal(a, resolve(f"{checkpoint('hubert')}:init=random,seed=1").embed([noise()])[0]["last"])


@pytest.mark.parametrize("wrong", ["init=trained", "init=random,seed=-1", "init=random,seed=x", "seed=3", "dtype=int8"])
def test_parameters_that_make_no_sense(checkpoint, wrong: str) -> None:
    with pytest.raises(UsageError):
        resolve(f"{checkpoint('hubert')}:{wrong}")
