"""Answers, inputs and spans against the library's own processors and ``generate``."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from otoscope.core.nouns import AudioLM, Prompt, Sited
from otoscope.models.resolve import load


@pytest.fixture(scope="session")
def reference() -> Any:
    spec = importlib.util.spec_from_file_location("audiolms_reference", Path(__file__).with_name("reference.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def prompts(clip) -> list[Prompt]:
    """Three of unequal length."""
    texts = ("what do you hear?", "answer with one letter: is the speaker happy or sad?", "rain?")
    return [Prompt(text, (clip(i, 0.7 + 1.1 * i),)) for i, text in enumerate(texts)]


@pytest.fixture
def embedded():
    """``embedded(lm, prompts)``: what enters the first layer of the decoder ``[B, S, D]``, and the ids ``[B, S]``."""

    def look(lm, prompts):
        seen, batch = [], lm.prepare(prompts, 1)
        layer = lm.network.get_decoder().layers[0]
        handle = layer.register_forward_pre_hook(lambda m, args: seen.append(args[0].clone()))
        try:
            lm.generate(prompts, 1)
        finally:
            handle.remove()
        return seen[0], batch.inputs["input_ids"]

    return look


def test_inputs_are_those_of_the_familys_processor(family, model, written, reference, prompts) -> None:
    theirs, ours = reference.inputs(family, written(family), prompts), model(family).prepare(prompts).inputs
    assert torch.equal(ours["attention_mask"], theirs["attention_mask"])
    real = theirs["attention_mask"].bool()
    assert torch.equal(ours["input_ids"][real], theirs["input_ids"][real])
    assert not real.all()
    for name in set(theirs) - {"input_ids", "attention_mask"}:
        assert torch.equal(torch.as_tensor(ours[name]), torch.as_tensor(theirs[name])), name
    assert set(ours) == set(theirs)


@pytest.mark.parametrize("n", [1, 3])
def test_answers_are_those_of_generate(family, model, written, reference, prompts, n: int) -> None:
    theirs = reference.answers(family, written(family), prompts[:n], 12)
    ours = model(family).generate(prompts[:n], 12)
    assert [list(reply.token_ids) for reply in ours] == theirs
    assert len({tuple(row) for row in theirs}) == n
    for reply in ours:
        assert (reply.ended, reply.tokens.output, reply.batch) == (False, 12, n)
        assert reply.text == model(family).family.tokenizer.decode(reply.token_ids, skip_special_tokens=True)


def test_a_prompt_is_answered_alone_as_in_a_batch(family, model, prompts) -> None:
    """But for Phi-4, whose encoder hears the padding (its library adds a mask of booleans): its card says so."""
    together = [r.token_ids for r in model(family).generate(prompts, 6)]
    alone = [model(family).generate([p], 6)[0].token_ids for p in prompts]
    assert (together == alone) is (family != "phi4_multimodal")
    assert [b.partition(":")[0] for b in model(family).card.breaks] == ([] if together == alone else ["prompts alone"])


def test_phi4_prompts_of_one_length_may_share_a_batch(model, clip) -> None:
    prompts = [Prompt(text, (clip(i, 1.0),)) for i, text in enumerate(("a dog?", "what is it that the woman speaks?"))]
    lm = model("phi4_multimodal")
    assert [r.token_ids for r in lm.generate(prompts, 6)] == [lm.generate([p], 6)[0].token_ids for p in prompts]


def test_spans_are_where_sound_enters(family, model, prompts, embedded) -> None:
    """Embeddings differ from the table's exactly where the spans are."""
    lm = model(family)
    states, ids = embedded(lm, prompts)
    table = lm.network.get_input_embeddings()(ids)
    for row, laid in enumerate(lm.prepare(prompts).laid):
        shift = ids.shape[1] - len(laid.ids)
        differs = (states[row] != table[row]).any(-1).nonzero().flatten().tolist()
        (start, stop) = laid.spans[0]
        assert differs == list(range(start + shift, stop + shift))
    replies = lm.generate(prompts, 1)
    assert [r.tokens.audio for r in replies] == [b - a for r in replies for a, b in r.spans]
    assert [r.tokens.prompt for r in replies] == [len(laid.ids) for laid in lm.prepare(prompts).laid]


def test_the_network_counts_the_same_tokens(family, model, prompts) -> None:
    """One more than its encoder gives is an error there."""
    lm = model(family)
    given = dict(lm.prepare(prompts[:1]).inputs)
    at = int((given["input_ids"][0] == lm.family.audio_id).nonzero()[0])
    for name in ("input_ids", "attention_mask"):
        given[name] = torch.cat([given[name][:, : at + 1], given[name][:, at:]], dim=1)
    with pytest.raises((ValueError, RuntimeError), match=r"match|shape|size|number of ones"), torch.no_grad():
        lm.network.generate(**given, max_new_tokens=1)


@pytest.mark.parametrize("family", ["qwen2_audio", "qwen2_5_omni", "voxtral", "phi4_multimodal"])
def test_several_clips(family, model, written, reference, clip) -> None:
    prompts = [Prompt("same?", (clip(1, 0.8), clip(2, 2.0))), Prompt("what?", (clip(3, 1.3),))]
    lm = model(family)
    ours = lm.generate(prompts, 8)
    assert [list(r.token_ids) for r in ours] == reference.answers(family, written(family), prompts, 8)
    (a, b), (c, d) = ours[0].spans
    assert a < b <= c < d
    assert ours[0].tokens.audio == b - a + d - c
    assert len(ours[1].spans) == 1
    if family != "voxtral":
        assert [b - a, d - c] == [lm.generate([Prompt("?", (x,))], 1)[0].tokens.audio for x in prompts[0].audio]


def test_sound_and_silence_in_one_batch(family, model, clip) -> None:
    """A prompt without sound beside one with it, and alone."""
    lm = model(family)
    with_sound, without = Prompt("what do you hear?", (clip(1, 1.0),)), Prompt("what is two and two?")
    together = lm.generate([with_sound, without], 6)
    assert together[1].spans == ()
    assert together[1].tokens.audio == 0
    assert together[1].token_ids == lm.generate([without], 6)[0].token_ids
    assert "encoder" not in lm.generate([without], 1)[0].seconds


def test_the_sound_matters(family, model, clip) -> None:
    replies = [model(family).generate([Prompt("what?", (clip(i, 1.5),))], 12)[0].token_ids for i in range(3)]
    assert len(set(replies)) > 1


def test_a_system_message(family, model, written, reference, clip) -> None:
    prompt = Prompt("rain?", (clip(1, 1.0),), system="answer with one letter.")
    lm = model(family)
    if family == "voxtral":
        prompt = Prompt("rain?", system=prompt.system)
        assert lm.family.render(prompt) == "<s>[SYSTEM_PROMPT]answer with one letter.[/SYSTEM_PROMPT][INST]rain?[/INST]"
        return
    assert list(lm.generate([prompt], 5)[0].token_ids) == reference.answers(family, written(family), [prompt], 5)[0]
    assert lm.generate([prompt], 5)[0].tokens.text != lm.generate([Prompt("rain?", prompt.audio)], 5)[0].tokens.text


def test_an_answer_that_ends(family, model, written, prompts, tmp_path) -> None:
    """With the third token of the second answer made the end token, that answer ends there; the batch goes on."""
    free = [r.token_ids for r in model(family).generate(prompts, 8)]
    folder = shutil.copytree(written(family), tmp_path / "ends")
    path = folder / "generation_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "eos_token_id": [free[1][2]]}))
    ended = load(str(folder)).generate(prompts, 8)
    for reply, whole in zip(ended, free, strict=True):
        stop = whole.index(free[1][2]) if free[1][2] in whole else None
        assert reply.ended is (stop is not None)
        assert reply.token_ids == whole[:stop]
        assert reply.tokens.output == (8 if stop is None else stop + 1)
    assert ended[1].ended
    assert ended[1].steps == max(r.tokens.output for r in ended) - 1


def test_kinds(family, model) -> None:
    lm = model(family)
    assert isinstance(lm, AudioLM)
    assert isinstance(lm, Sited)
    assert lm.card.capability == "audiolm"
    assert (lm.card.rate, lm.card.channels) == (16_000, 1)


def test_voxtral_text_is_mistrals(model, written, clip) -> None:
    """Against mistral-common, where it is installed."""
    pytest.importorskip("mistral_common", reason="mistral-common is not installed")
    from mistral_common.protocol.instruct.chunk import AudioChunk, TextChunk
    from mistral_common.protocol.instruct.messages import UserMessage
    from mistral_common.protocol.instruct.request import ChatCompletionRequest
    from mistral_common.tokens.tokenizers.audio import Audio
    from mistral_common.tokens.tokenizers.mistral import MistralTokenizer

    theirs = MistralTokenizer.from_file(str(written("voxtral") / "tekken.json"))
    for seconds in ((1.0,), (31.0, 2.0)):
        clips = tuple(clip(i, s) for i, s in enumerate(seconds))
        chunks = [AudioChunk.from_audio(Audio(np.array(x.samples[0]), x.rate, format="wav")) for x in clips]
        message = UserMessage(content=[*chunks, TextChunk(text="what do you hear? [INST]")])
        found = theirs.encode_chat_completion(ChatCompletionRequest(messages=[message])).tokens
        plain = model("voxtral").prepare([Prompt("what do you hear?", clips)]).laid[0].ids
        assert list(plain[: len(plain) - 1]) == found[: len(plain) - 1]
