"""Conformance of audio language models: what holds passes, and each way to break the contract fails its own check."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
from audiolm_fixtures import build, written

from otoscope.core.errors import InputError, UsageError
from otoscope.core.nouns import Card, Reply, TokenCounts
from otoscope.models.checks import Check
from otoscope.models.conformance import check

__all__ = ["build", "written"]

NAMES = (
    "loads",
    "identity",
    "determinism",
    "two loads",
    "batch invariance",
    "prompts alone",
    "batch position",
    "answer length",
    "spans and counts",
    "output",
    "hears",
    "reads",
    "restores",
    "short sound",
    "long sound",
    "two clips",
    "no sound",
    "system message",
    "wrong rate",
    "wrong channel count",
    "nothing asked",
)


class Good:
    """Answers with numbers made of the sound's energy and the question: a token of sound per 40 ms, one per letter."""

    card = Card("good", "audiolm", "numbers", rate=8000, channels=1, extra={"limit_s": None})

    def __init__(self) -> None:
        self.calls = 0

    def identity(self) -> dict[str, Any]:
        return {"good": 1}

    def load(self) -> None:
        return None

    def fresh(self) -> Good:
        return type(self)()

    def generate(self, prompts, max_new_tokens=256):
        self.calls += 1
        if not prompts or max_new_tokens < 1:
            raise UsageError("nothing is asked")
        for prompt in prompts:
            for clip in prompt.audio:
                if clip.rate != 8000 or clip.channels != 1:
                    raise InputError("takes one channel of 8000 Hz")
        return [self.one(prompt, max_new_tokens, len(prompts)) for prompt in prompts]

    def wide(self, prompt) -> list[int]:
        return [1 + clip.n // 320 for clip in prompt.audio]

    def one(self, prompt, n, batch) -> Reply:
        wide = self.wide(prompt)
        edges = list(itertools.accumulate(wide, initial=1))
        spans = tuple(itertools.pairwise(edges)) if wide else ()
        text = len(prompt.text) + len(prompt.system or "") + 2
        ids = self.answer(prompt)[:n]
        return Reply(
            " ".join(map(str, ids)),
            tuple(ids),
            TokenCounts(sum(wide), text, len(ids)),
            spans,
            ended=False,
            seconds=self.seconds(),
            batch=batch,
        )

    def answer(self, prompt) -> list[int]:
        energy = sum(float((clip.samples.astype(float) ** 2).sum()) for clip in prompt.audio)
        start = round(1e3 * energy) + sum(map(ord, prompt.text))
        return [(start * (k + 1)) % 9973 for k in range(20)]

    def seconds(self) -> dict[str, float]:
        return {"prefill": 1e-9}


def results(model: Any) -> dict[str, Check]:
    return {c.name: c for c in check(model)}


def failed(model: Any) -> set[str]:
    return {name for name, c in results(model).items() if not c.passed}


def test_what_keeps_the_contract_passes() -> None:
    found = results(Good())
    assert tuple(found) == NAMES
    assert not [c for c in found.values() if not c.passed]
    assert found["restores"].status == "not applicable"
    assert "61 s" in found["long sound"].detail


@pytest.mark.parametrize("family", ["qwen2_audio", "voxtral", "phi4_multimodal"])
def test_small_checkpoints_pass(written, family) -> None:
    found = results(str(written(family)))
    assert tuple(found) == NAMES
    assert not [c for c in found.values() if not c.passed]
    if family == "phi4_multimodal":
        assert found["prompts alone"].status == "known"
        assert "declared" in found["prompts alone"].detail
    assert "places exist" in found["restores"].detail


class Drifting(Good):
    def answer(self, prompt):
        return [x + self.calls for x in super().answer(prompt)]


class Batchy(Good):
    def one(self, prompt, n, batch):
        found = super().one(prompt, n, batch)
        return replace(found, token_ids=tuple(i + batch for i in found.token_ids))


class Padded(Good):
    """What it hears is scaled by the longest prompt of the batch."""

    def generate(self, prompts, max_new_tokens=256):
        self.longest = max((clip.n for prompt in prompts for clip in prompt.audio), default=0)
        return super().generate(prompts, max_new_tokens)

    def answer(self, prompt):
        return [x + self.longest for x in super().answer(prompt)]


class Sorting(Good):
    """Answers come by length of the answer, not in the order of the prompts."""

    def generate(self, prompts, max_new_tokens=256):
        return sorted(super().generate(prompts, max_new_tokens), key=lambda r: r.token_ids)


class Talkative(Good):
    def one(self, prompt, n, batch):
        return super().one(prompt, n + 1, batch)


class Wandering(Good):
    """Another answer for another number of tokens."""

    def one(self, prompt, n, batch):
        found = super().one(prompt, n, batch)
        return replace(found, token_ids=tuple(i + n for i in found.token_ids))


class Miscounting(Good):
    def one(self, prompt, n, batch):
        found = super().one(prompt, n, batch)
        return replace(found, tokens=replace(found.tokens, audio=found.tokens.audio + len(prompt.audio)))


class Overlapping(Good):
    def one(self, prompt, n, batch):
        found = super().one(prompt, n, batch)
        return replace(found, spans=tuple((0, b) for _, b in found.spans)) if len(found.spans) > 1 else found


class Cutting(Good):
    """Hears the first 30 s, without a word."""

    def wide(self, prompt):
        return [min(n, 750) for n in super().wide(prompt)]


class Limited(Good):
    """Says that 5 s are its limit, and takes more."""

    card = Card("limited", "audiolm", "numbers", rate=8000, channels=1, extra={"limit_s": 5.0})


class Deaf(Good):
    def answer(self, prompt):
        return [sum(map(ord, prompt.text)) + k for k in range(20)]


class Careless(Good):
    def generate(self, prompts, max_new_tokens=256):
        return [self.one(prompt, max_new_tokens, len(prompts)) for prompt in prompts]


class Timeless(Good):
    def seconds(self):
        return {"prefill": 100.0}


class Changing(Good):
    def identity(self):
        return {"calls": self.calls}


@pytest.mark.parametrize(
    ("broken", "wanted"),
    [
        (
            Drifting,
            {"determinism", "two loads", "batch invariance", "prompts alone", "batch position", "answer length"},
        ),
        (Batchy, {"batch invariance", "prompts alone"}),
        (Padded, {"prompts alone"}),
        (Sorting, {"batch position"}),
        (Talkative, {"answer length"}),
        (Wandering, {"answer length"}),
        (Miscounting, {"spans and counts", "two clips"}),
        (Overlapping, {"two clips"}),
        (Cutting, {"long sound"}),
        (Limited, {"long sound"}),
        (Careless, {"wrong rate", "wrong channel count", "nothing asked"}),
        (Timeless, {"output"}),
        (Changing, {"identity"}),
    ],
)
def test_each_fault_fails_its_own_check(broken: type[Good], wanted: set[str]) -> None:
    found = failed(broken())
    assert wanted <= found
    assert found - wanted <= ({"batch invariance", "prompts alone"} if broken is Sorting else set())


def test_a_model_that_says_the_same_of_every_sound_is_pointed_out() -> None:
    found = results(Deaf())
    assert found["hears"].status == "not applicable"
    assert "whatever the sound" in found["hears"].detail
    assert found["reads"].status == "passed"


def test_a_network_that_its_sound_does_not_reach_fails(written) -> None:
    """The encoder's output is taken away from a real, small network."""
    from otoscope.models.resolve import load

    lm = load(str(written("qwen2_audio")))
    handle = lm.network.get_submodule("model.multi_modal_projector").register_forward_hook(lambda m, a, out: out * 0)
    try:
        found = results(lm)
    finally:
        handle.remove()
    assert found["hears"].status == "failed"
    assert "does not reach" in found["hears"].detail
    assert found["reads"].passed
