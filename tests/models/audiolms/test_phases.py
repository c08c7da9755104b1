"""Phases are measured from outside, and change nothing. Nothing here says how long anything takes."""

from __future__ import annotations

import pytest

from otoscope.core import clock
from otoscope.core.errors import ModelError
from otoscope.core.nouns import Prompt
from otoscope.interventions.hooks import Change, Observe, hooked


@pytest.fixture
def prompts(clip) -> list[Prompt]:
    return [Prompt("what do you hear?", (clip(i, 0.8 + i),)) for i in range(2)]


def test_every_phase_is_there(family, model, prompts) -> None:
    replies = model(family).generate(prompts, 5)
    for reply in replies:
        assert set(reply.seconds) == {"features", "encoder", "prefill", "decode"}
        assert all(s > 0 for s in reply.seconds.values())
        assert reply.steps == 4
        assert reply.first_token_s == reply.seconds["encoder"] + reply.seconds["prefill"]
        assert reply.per_token_s == reply.seconds["decode"] / 4
        assert set(reply.peak_bytes) <= set(reply.seconds)
        assert all(b > 1_000_000 for b in reply.peak_bytes.values())
    one = model(family).generate(prompts, 1)[0]
    assert (one.steps, one.per_token_s) == (0, None)


def test_nothing_stays_behind(family, model, prompts, monkeypatch) -> None:
    """No hook, also where the network fails; and the clock is as it was."""
    network = model(family).network

    def hooks() -> int:
        return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in network.modules())

    before = hooks()
    model(family).generate(prompts, 2)
    assert hooks() == before
    monkeypatch.setattr(network.get_decoder().layers[1].mlp, "forward", lambda *a, **k: 1 / 0)
    with pytest.raises(ModelError, match="ZeroDivisionError"):
        model(family).generate(prompts, 2)
    assert hooks() == before
    assert clock.now().phase is None


def test_interventions_know_the_phase(family, model, prompts) -> None:
    lm = model(family)
    seen: list[tuple[str | None, int]] = []
    place = lm.sites.places("block_in", [0])[0]
    with hooked(lm.network, lm.sites, [Observe(place, lambda x: seen.append((clock.now().phase, x.shape[1])))]):
        lm.generate(prompts, 4)
    width = lm.prepare(prompts).width
    assert seen == [("prefill", width), ("decode", 1), ("decode", 1), ("decode", 1)]


def test_a_change_during_decoding_only(family, model, prompts) -> None:
    """The first token is what it was, a later one is not."""
    lm = model(family)
    place = lm.sites.places("block_out", [-1])[0]
    flip = Change(place, lambda x: -x, when=lambda tick: tick.phase == "decode")
    bare = [r.token_ids for r in lm.generate(prompts, 4)]
    with hooked(lm.network, lm.sites, [flip]):
        changed = [r.token_ids for r in lm.generate(prompts, 4)]
    assert [r[0] for r in changed] == [r[0] for r in bare]
    assert all(a[1:] != b[1:] for a, b in zip(changed, bare, strict=True))
    assert [r.token_ids for r in lm.generate(prompts, 4)] == bare
