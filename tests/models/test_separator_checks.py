"""Conformance of separators: what holds passes, and each way to break the contract fails its own check."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from otoscope.core.audio import Audio
from otoscope.core.errors import InputError, ModelError, UsageError
from otoscope.core.nouns import Card, Stems
from otoscope.models.checks import Check
from otoscope.models.conformance import check

NAMES = (
    "loads",
    "identity",
    "determinism",
    "noise seed",
    "exact length",
    "output",
    "mixtures alone",
    "silence",
    "short sound",
    "long sound",
    "restores",
    "wrong rate",
    "wrong channel count",
    "wrong number of prompts",
    "prompts",
)


class Good:
    """A share of the mixture that depends on prompt and seed."""

    card = Card("good", "separator", "a share", rate=8000, channels=1)

    def __init__(self) -> None:
        self.calls = 0

    def identity(self) -> dict[str, Any]:
        return {"good": 1}

    def load(self) -> None:
        return None

    def separate(self, mixtures, prompts, noise_seeds):
        if not len(mixtures) == len(prompts) == len(noise_seeds):
            raise UsageError("unequal numbers")
        for mixture in mixtures:
            if mixture.rate != 8000 or mixture.channels != 1:
                raise InputError("takes one channel of 8000 Hz")
        return [self.one(*each) for each in zip(mixtures, prompts, noise_seeds, strict=True)]

    def one(self, mixture, prompt, seed) -> Stems:
        share = np.float32(0.5 + 0.01 * seed + 0.1 * bool(prompt.text))
        return self.stems(share * mixture.samples, (1 - share) * mixture.samples, mixture.rate)

    def stems(self, target, residual, rate) -> Stems:
        return Stems(Audio(target, rate), Audio(residual, rate))


def results(model: Any) -> dict[str, Check]:
    return {c.name: c for c in check(model)}


def failed(model: Any) -> set[str]:
    return {name for name, c in results(model).items() if not c.passed}


def test_what_keeps_the_contract_passes() -> None:
    found = results(Good())
    assert tuple(found) == NAMES
    assert not [c for c in found.values() if not c.passed]
    assert found["restores"].status == "not applicable"
    assert "no different from no prompt: spans" in found["prompts"].detail


class Drifting(Good):
    def one(self, mixture, prompt, seed):
        self.calls += 1
        x = mixture.samples * (1 + self.calls)
        return self.stems(x, x, mixture.rate)


class Cut(Good):
    def stems(self, target, residual, rate):
        whole = max(1, target.shape[1] // 80) * 80
        return super().stems(target[:, :whole], residual[:, :whole], rate)


class Framed(Good):
    """Fails, without saying so, on less than a frame."""

    def one(self, mixture, prompt, seed):
        mixture.samples[0, :80].reshape(8, 10)
        return super().one(mixture, prompt, seed)


class Limited(Good):
    def stems(self, target, residual, rate):
        return super().stems(target[:, : 2 * rate], residual[:, : 2 * rate], rate)


class Stereo(Good):
    def stems(self, target, residual, rate):
        return super().stems(np.concatenate([target, target]), residual, rate)


class Padding(Good):
    """Scales each mixture by the longest of the call."""

    def separate(self, mixtures, prompts, noise_seeds):
        self.longest = max(m.n for m in mixtures)
        return super().separate(mixtures, prompts, noise_seeds)

    def one(self, mixture, prompt, seed):
        x = mixture.samples / self.longest
        return self.stems(x, x, mixture.rate)


class Normalising(Good):
    def one(self, mixture, prompt, seed):
        with np.errstate(invalid="ignore"):
            x = mixture.samples / np.abs(mixture.samples).max()
        return self.stems(x, x, mixture.rate)


class Careless(Good):
    def separate(self, mixtures, prompts, noise_seeds):
        return [self.one(*each) for each in zip(mixtures, prompts, noise_seeds, strict=False)]


class Wanting(Good):
    """Takes words alone."""

    def one(self, mixture, prompt, seed):
        if not prompt.text:
            raise ModelError("say which sound")
        return super().one(mixture, prompt, seed)


class Mute(Good):
    def one(self, mixture, prompt, seed):
        raise ModelError("nothing works")


class Changing(Good):
    def identity(self):
        return {"calls": self.calls}

    def one(self, mixture, prompt, seed):
        self.calls += 1
        return super().one(mixture, prompt, seed)


@pytest.mark.parametrize(
    ("broken", "wanted"),
    [
        (Drifting, {"determinism", "mixtures alone"}),
        (Cut, {"exact length"}),
        (Framed, {"short sound"}),
        (Limited, {"long sound"}),
        (Stereo, {"output"}),
        (Padding, {"mixtures alone"}),
        (Normalising, {"silence"}),
        (Careless, {"wrong rate", "wrong channel count", "wrong number of prompts"}),
        (Wanting, set()),
        (Changing, {"identity"}),
    ],
)
def test_each_fault_fails_its_own_check(broken: type[Good], wanted: set[str]) -> None:
    assert failed(broken()) == wanted


def test_a_separator_that_takes_nothing_says_so() -> None:
    found = results(Mute())
    assert found["prompts"].status == "failed"
    assert "nothing works" in found["prompts"].detail
    assert found["determinism"].status == "failed"


def test_refused_prompts_are_said() -> None:
    assert "no prompt refused: say which sound" in results(Wanting())["prompts"].detail
