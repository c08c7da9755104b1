"""The conformance suite: what holds passes, and each way to break the contract fails its own check."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import otoscope
from otoscope.models.conformance import Check, check

NAMES = (
    "loads",
    "identity",
    "determinism",
    "two loads",
    "batch invariance",
    "batch position",
    "padding invariance",
    "stride",
    "wrong channel count",
    "wrong rate",
    "ears",
    "output",
    "layers",
    "short sound",
)


def results(model: Any) -> dict[str, Check]:
    return {c.name: c for c in check(model)}


def failed(model: Any) -> set[str]:
    return {name for name, c in results(model).items() if not c.passed}


@pytest.mark.parametrize("name", ["tiny-wav2vec2", "tiny-stereo", "logmel", "random-conv", "gcc-phat-vector"])
def test_what_keeps_the_contract_passes(name: str) -> None:
    found = results(name)
    assert tuple(found) == NAMES
    assert not [c for c in found.values() if not c.passed]
    assert found["determinism"].figure == 0.0
    assert found["batch invariance"].figure < 1e-5


@pytest.mark.parametrize("family", ["hubert", "whisper", "ast", "encodec48", "dac", "mimi", "xcodec", "wav2vec2_bert"])
def test_checkpoints_pass(checkpoint, family: str) -> None:
    assert not failed(str(checkpoint(family)))


def test_what_a_card_declares_is_known(checkpoint) -> None:
    ast = results(str(checkpoint("ast")))["padding invariance"]
    assert (ast.status, ast.passed) == ("known", True)
    assert "declared" in ast.detail
    assert results(str(checkpoint("encodec48")))["padding invariance"].status == "known"
    assert results(f"{checkpoint('encodec48')}:normalize=false")["padding invariance"].status != "known"
    assert results("left-only")["ears"].status == "known"
    assert results(str(checkpoint("hubert")))["padding invariance"].status == "not applicable"
    assert results(str(checkpoint("whisper")))["padding invariance"].status == "passed"


class Good:
    """Sums of both ears in blocks of 10 ms; 3 dimensions."""

    rate, channels, hop_s = 16000, 2, 0.01

    def encode(self, x: np.ndarray) -> np.ndarray:
        t = x.shape[-1] // 160
        blocks = x[:, :, : t * 160].reshape(len(x), 2, t, 160)
        return np.stack([blocks.sum((1, 3)), blocks[:, 0].std(-1), blocks[:, 1].std(-1)], axis=-1)


def variant(name: str, **members: Any) -> Callable[[], Any]:
    return type(name, (Good,), members)


class Drifting(Good):
    def __init__(self) -> None:
        self.calls = 0

    def encode(self, x: np.ndarray) -> np.ndarray:
        self.calls += 1
        return super().encode(x) + self.calls


class Mixing(Good):
    def encode(self, x: np.ndarray) -> np.ndarray:
        y = super().encode(x)
        return y - y.mean(axis=0, keepdims=True) * 0.5  # as BatchNorm in training mode does


class Placed(Good):
    def encode(self, x: np.ndarray) -> np.ndarray:
        return super().encode(x) + np.arange(len(x))[:, None, None] * 0.1


class Unseeded(Good):
    made = 0

    def __init__(self) -> None:
        type(self).made += 1
        self.offset = float(type(self).made)

    def encode(self, x: np.ndarray) -> np.ndarray:
        return super().encode(x) + self.offset


class Deaf(Good):
    def encode(self, x: np.ndarray) -> np.ndarray:
        return super().encode(np.stack([x[:, 0], x[:, 0]], axis=1))


class Listed(Good):
    layers = (0, 1, "last")

    def encode(self, x: np.ndarray) -> Any:
        return {0: super().encode(x), "last": super().encode(x)}


class Boundless(Good):
    layers = ("last",)

    def encode(self, x: np.ndarray) -> Any:
        return {0: super().encode(x), 1: super().encode(x), "last": super().encode(x)}


class Nan(Good):
    def encode(self, x: np.ndarray) -> np.ndarray:
        return super().encode(x) * np.nan


class Hopping(Good):
    hop_s = 0.02


class Crashing(Good):
    def encode(self, x: np.ndarray) -> np.ndarray:
        raise ZeroDivisionError("no")


def test_a_good_object_passes() -> None:
    assert failed(Good) == set()
    assert results(Good())["two loads"].status == "not applicable"


@pytest.mark.parametrize(
    ("kind", "checks"),
    [
        (Drifting, {"determinism"}),
        (Mixing, {"batch invariance"}),
        (Placed, {"batch position"}),
        (Unseeded, {"two loads"}),
        (Deaf, {"ears"}),
        (Listed, {"layers"}),
        (Boundless, {"layers"}),
        (Nan, {"output", "determinism"}),
        (Hopping, {"stride"}),
        (Crashing, {"output", "determinism", "stride"}),
    ],
)
def test_each_break_fails_its_check(kind: type, checks: set[str]) -> None:
    assert checks <= failed(kind)


def test_a_padded_adapter_must_be_padding_invariant() -> None:
    @dataclass(frozen=True)
    class Padded(Good):
        exact_padding: bool = True

    from otoscope.models.encoders.adapt import adapt
    from otoscope.models.encoders.view import EncoderView

    class Normalising(Good):
        def encode(self, x: np.ndarray) -> np.ndarray:
            return super().encode(x / x.std(axis=-1, keepdims=True))

    loose = EncoderView(adapt(Normalising()))
    assert results(loose)["padding invariance"].status == "not applicable"
    loose.encoder.exact_padding = True
    assert results(loose)["padding invariance"].status == "failed"


def test_what_cannot_be_loaded_is_one_failed_check(checkpoint, tmp_path) -> None:
    import shutil

    folder = shutil.copytree(checkpoint("hubert"), tmp_path / "broken")
    (folder / "model.safetensors").write_bytes(b"no")
    (only,) = otoscope.check(str(folder))
    assert (only.name, only.status) == ("loads", "failed")


@pytest.mark.parametrize("name", ["ec-durlach", "ec-signal", "ec-listener", "gcc-phat"])
def test_observers_pass(name: str) -> None:
    found = results(name)
    assert tuple(found) == ("loads", "identity", "determinism", "output", "unknown question")
    assert not [c for c in found.values() if not c.passed]


def test_a_restless_observer_fails() -> None:
    from otoscope.core.nouns import Card

    class Restless:
        card = Card("restless", "observer", "", None, 2, quantities=frozenset({"variable"}))
        calls = 0

        def identity(self):
            return {"calls": self.calls}

        def load(self) -> None:
            pass

        def decide(self, quantity, signals, factors):
            self.calls += 1
            return {"n0": [float(self.calls)], "s0": [float("inf")]}

    assert failed(Restless()) == {"identity", "determinism", "output", "unknown question"}
