"""The remote-code path, with a stand-in of the published interface (tokens per ear and timestamps)."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from otoscope.core.errors import ModelError
from otoscope.models.encoders.hf_family import family_of
from otoscope.models.resolve import card_for


class StandIn:
    """Tokens of 160 samples. Averages over the ears unless asked for ``raw``."""

    def forward(self, x, strategy="mean"):
        tokens = x.unfold(-1, 160, 160)
        return (tokens if strategy == "raw" else tokens.mean(dim=1)), torch.arange(tokens.shape[-2]) * 10.0

    def __call__(self, x, **how):
        return self.forward(x, **how)


class Averages(StandIn):
    def forward(self, x):
        return super().forward(x)


class Wrong(StandIn):
    def forward(self, x):
        return (torch.zeros(len(x), 5, 3, 2), None)


def remote(extractor=None, model_type="wavjepa-nat", **options):
    return family_of(model_type)(SimpleNamespace(model_type=model_type), extractor, options, "here")


def test_ears_are_kept_apart_where_the_code_can() -> None:
    x = np.random.default_rng(0).standard_normal((3, 2, 800)).astype(np.float32)
    family = remote()
    inputs = {k: torch.from_numpy(v) for k, v in family.prepare(x).items()}
    ears = family.states(StandIn(), inputs, 800)["last"]
    mean = family.states(Averages(), inputs, 800)["last"]
    assert ears.shape == (3, 2, 5, 160)
    assert mean.shape == (3, 1, 5, 160)
    assert torch.allclose(ears.mean(dim=1, keepdim=True), mean)
    with pytest.raises(ModelError, match="tokens have shape"):
        family.states(Wrong(), inputs, 800)


def test_feature_extractors_with_and_without_a_rate() -> None:
    x = np.zeros((2, 2, 400), dtype=np.float32)

    class Plain:
        def __call__(self, sounds, return_tensors):
            assert return_tensors == "pt"
            return {"input_values": torch.from_numpy(np.stack(sounds))}

    class WithRate(Plain):
        def __call__(self, sounds, sampling_rate, return_tensors):
            assert sampling_rate == 16_000
            return super().__call__(sounds, return_tensors)

    class Broken:
        def __call__(self, sounds, **how):
            raise ValueError("no")

    for kind in (Plain, WithRate):
        assert remote(kind()).prepare(x)["input_values"].shape == (2, 2, 400)
    with pytest.raises(ModelError, match="feature extractor failed"):
        remote(Broken()).prepare(x)


def test_channels_and_card() -> None:
    assert remote().channels == 2
    assert remote(model_type="wavjepa").channels == 1
    assert remote(channels=1).channels == 1
    card = card_for("labhamlet/wavjepa-nat-base")
    assert (card.channels, card.rate, card.layers) == (2, 16_000, ("last",))
    assert "--trust-remote-code" in " ".join(card.notes)
