"""What prompts about the same clips share: found again bit for bit, under interventions too, and never assumed."""

from __future__ import annotations

import torch

from otoscope.core.nouns import Prompt
from otoscope.interventions.ablate import Ablate
from otoscope.interventions.catalogue import resolve_intervention
from otoscope.models.audiolms.sharing import Entry, Memory, reusing


def answers(lm, prompts, names=("none", "prune/frame:keep=0.5", "prune/fastv:keep=0.3", "none")):
    found = []
    for prompt in prompts:
        for name in names:
            with resolve_intervention(name).on(lm):
                found.append(lm.generate([prompt], 5)[0])
    return found


def test_answers_with_and_without_sharing_are_the_same_and_the_encoder_runs_once(model, clip, family) -> None:
    lm = model(family)
    prompts = [Prompt(text, (clip(i, 1.5 + i),)) for i in range(2) for text in ("what do you hear?", "who speaks?")]
    plain = [r.token_ids for r in answers(lm, prompts)]
    runs = []
    name = lm.family.encoder[0]
    path = next(n for n, _ in lm.network.named_modules() if n == name or n.endswith(f".{name}"))
    inner = lm.network.get_submodule(path)
    deepest = next(m for m in inner.modules() if isinstance(m, torch.nn.Conv1d | torch.nn.Conv2d | torch.nn.Linear))
    handle = deepest.register_forward_hook(lambda *a: runs.append(1))
    try:
        answers(lm, prompts)
        without = len(runs)
        lm.remember(2**30)
        runs.clear()
        shared = answers(lm, prompts)
    finally:
        handle.remove()
        lm.remember(None)
    assert [r.token_ids for r in shared] == plain
    # Phi-4's encoder puts its result into the text's embeddings, so another text is another call.
    assert len(runs) * (4 if family == "phi4_multimodal" else 8) == without
    first, *rest = shared[:4]
    assert {r.seconds["encoder"] for r in rest} == {first.seconds["encoder"]}
    assert {r.seconds["features"] for r in rest} == {first.seconds["features"]}
    assert all("forward" not in m.__dict__ for m in lm.network.modules())


def test_an_intervention_at_the_encoder_is_not_passed_by(model, clip) -> None:
    lm = model("qwen2_audio")
    prompt = Prompt("what do you hear?", (clip(3, 2.0),))
    with Ablate(site="audio").on(lm):
        wanted = lm.generate([prompt], 6)[0].token_ids
    lm.remember(2**30)
    try:
        bare = lm.generate([prompt], 6)[0].token_ids
        with Ablate(site="audio").on(lm):
            found = lm.generate([prompt], 6)[0].token_ids
        assert lm.generate([prompt], 6)[0].token_ids == bare
    finally:
        lm.remember(None)
    assert found == wanted != bare


def test_batches_and_prompts_without_sound_share_nothing(model, clip) -> None:
    lm = model("qwen2_audio")
    lm.remember(2**30)
    try:
        lm.generate([Prompt("a?", (clip(1),)), Prompt("b?", (clip(2),))], 2)
        lm.generate([Prompt("a?")], 2)
        assert len(lm._memory) == 0
    finally:
        lm.remember(None)


def test_memory_is_bounded_and_keeps_the_latest(model, clip) -> None:
    lm = model("qwen2_audio")
    lm.remember(1)
    try:
        for i in range(3):
            lm.generate([Prompt("a?", (clip(i),))], 1)
            assert len(lm._memory) == 1
        one = lm._memory.nbytes
        lm.remember(round(2.5 * one))
        for i in range(5):
            lm.generate([Prompt("a?", (clip(i),))], 1)
            assert lm._memory.nbytes <= 2.5 * one
        assert len(lm._memory) == 2
    finally:
        lm.remember(None)


def test_other_arguments_are_another_call() -> None:
    module, entry = torch.nn.Linear(3, 3), Entry()
    x, y = torch.ones(1, 3), torch.zeros(1, 3)
    with torch.inference_mode():
        for value, reused in ((x, 0), (x.clone(), 1), (y, 0), (y, 1), (y.double().float(), 1)):
            with reusing([module], entry):
                found = module(value)
            assert entry.reused == reused
            assert torch.equal(found, module(value))
    memory = Memory()
    assert memory.entry("a") is memory.entry("a") is not memory.entry("b")
