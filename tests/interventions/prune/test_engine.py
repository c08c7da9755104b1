"""Dropping audio tokens at a layer equals masking them from there on, and leaves nothing behind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest
import torch
from audiolm_fixtures import inputs_of

from otoscope.core.errors import InputError, ModelError, UsageError
from otoscope.core.nouns import Prompt
from otoscope.interventions.catalogue import INTERVENTIONS, resolve_intervention
from otoscope.interventions.prune.random import Random
from otoscope.models.resolve import load

K = 2


@dataclass(frozen=True)
class Recorded(Random):
    """Random pruning that remembers what it kept, row by row."""

    name: ClassVar[str] = "recorded"
    rows: list[tuple[torch.Tensor, torch.Tensor]] = field(default_factory=list)

    def choose(self, row: Any) -> Any:
        kept, told = super().choose(row)
        self.rows.append((row.audio, kept))
        return kept, told


@contextmanager
def masked(network: Any, real: torch.Tensor, seen: torch.Tensor) -> Iterator[None]:
    """The reference: nothing is dropped, but from layer K on keys that are not ``seen`` ``[B, S]`` are masked. Written
    from the definition: a query sees a key that is real, not later, and seen."""

    def instead(module: Any, args: Any, kwargs: Any) -> Any:
        hidden = args[0]
        cache = kwargs.get("cache", kwargs.get("past_key_values"))
        past = 0 if cache is None else cache.get_seq_length(module.self_attn.layer_idx)
        total = past + hidden.shape[1]
        new = torch.ones(len(seen), total - seen.shape[1], dtype=torch.bool)
        keys = torch.cat([seen & real, new], 1)
        queries = torch.arange(past, total)
        allowed = keys[:, None, None, :] & (torch.arange(total)[None, :] <= queries[:, None])
        mask = torch.zeros(allowed.shape).masked_fill(~allowed, torch.finfo(torch.float32).min)
        return args, {**kwargs, "attention_mask": mask}

    layers = network.get_decoder().layers
    handles = [m.register_forward_pre_hook(instead, with_kwargs=True, prepend=True) for m in layers[K:]]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def asked(clip, n: int) -> list[Prompt]:
    texts = ("what do you hear?", "is it a dog?", "transcribe the speech.")
    return [Prompt(texts[i], (clip(i, 0.9 + 0.8 * i),)) for i in range(n)]


def logits(lm, prompts, n: int = 4, **how: Any) -> torch.Tensor:
    """``[n, B, V]`` of the library's own ``generate``."""
    inputs = inputs_of(lm, prompts)
    settings = {"do_sample": False, "num_beams": 1, "eos_token_id": None, **how}
    with torch.inference_mode():
        out = lm.network.generate(
            **inputs, min_new_tokens=n, max_new_tokens=n, output_logits=True, return_dict_in_generate=True, **settings
        )
    return torch.stack(out.logits)


def left_out(lm, prompts, rows) -> tuple[torch.Tensor, torch.Tensor]:
    """Which tokens are real and which are not dropped, from what the method recorded."""
    real = inputs_of(lm, prompts)["attention_mask"].bool()
    seen = torch.ones_like(real)
    for i, (audio, kept) in enumerate(rows):
        seen[i, audio] = False
        seen[i, kept] = True
    return real, seen


@pytest.fixture(scope="session")
def loaded(written):
    import functools

    return functools.cache(lambda family, attention: load(f"{written(family)}:attention={attention}"))


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("keep", [0.9, 0.5, 0.1])
def test_dropping_equals_masking(family, loaded, clip, attention, n, keep) -> None:
    lm, prompts = loaded(family, attention), asked(clip, n)
    method = Recorded(keep, K)
    with method.on(lm) as report:
        ours = logits(lm, prompts)
    assert len(method.rows) == n
    for (before, after), (audio, kept) in zip(report.clips, method.rows, strict=True):
        assert (before, after) == (len(audio), len(kept))
        assert after == -(-round(keep * 10) * before // 10)  # ceil
    with masked(lm.network, *left_out(lm, prompts, method.rows)):
        theirs = logits(lm, prompts)
    bare = logits(lm, prompts)
    assert (ours - theirs).abs().max() <= 1e-5
    if keep < 0.9:
        assert (ours - bare).abs().max() > 1e-3  # it does something


def test_keeping_all_is_the_bare_model(family, loaded, clip) -> None:
    lm, prompts = loaded(family, "sdpa"), asked(clip, 3)
    bare = logits(lm, prompts)
    for name in [n for n in INTERVENTIONS if n.startswith("prune/")] + ["headrouter"]:
        uniform = ",weights=uniform" if name == "headrouter" else ""
        with resolve_intervention(f"{name}:keep=1{uniform}").on(lm):
            assert (logits(lm, prompts) - bare).abs().max() <= 1e-5, name
    assert torch.equal(logits(lm, prompts), bare)


def test_leaving_restores_also_after_an_error(family, loaded, clip) -> None:
    lm, prompts = loaded(family, "sdpa"), asked(clip, 2)
    bare, weights = logits(lm, prompts), {k: v.clone() for k, v in lm.network.state_dict().items()}
    with Random(0.3).on(lm):
        logits(lm, prompts)

    def half_way() -> None:
        with Random(0.3).on(lm):
            logits(lm, prompts, 1)
            raise RuntimeError("half-way")

    with pytest.raises(RuntimeError, match="half-way"):
        half_way()
    assert torch.equal(logits(lm, prompts), bare)
    assert all(torch.equal(v, weights[k]) for k, v in lm.network.state_dict().items())
    assert not [name for name, m in lm.network.named_modules() if "forward" in m.__dict__]


def test_answers_and_the_report(family, loaded, clip) -> None:
    lm, prompts = loaded(family, "sdpa"), asked(clip, 2)
    with resolve_intervention("prune/frame:keep=0.5,layer=1").on(lm) as report:
        together = [r.token_ids for r in lm.generate(prompts, 4)]
        told = report.drain()
        alone = [lm.generate([p], 4)[0].token_ids for p in prompts]
    if not lm.card.breaks:
        assert together == alone
    audio = [r.tokens.audio for r in lm.generate(prompts, 1)]
    assert told["audio_tokens"] == sum(audio) / 2
    assert told["kept_audio_tokens"] == sum(-(-n // 2) for n in audio) / 2
    assert told["layer_kept_audio_share"] == pytest.approx(0.25 + 0.75 * told["kept_audio_share"])
    assert told["scoring_seconds"] > 0


def test_the_cache_is_shorter_above_the_layer_only(loaded, clip) -> None:
    lm, prompts = loaded("qwen2_5_omni", "sdpa"), asked(clip, 1)
    inputs = inputs_of(lm, prompts)
    with torch.inference_mode(), Random(0.3, K).on(lm) as report:
        out = lm.network.generate(**inputs, max_new_tokens=1, do_sample=False, return_dict_in_generate=True)
        cache = out.past_key_values
        lengths = [cache.get_seq_length(i) for i in range(4)]
        told = report.drain()
    (audio, kept), whole = (told["audio_tokens"], told["kept_audio_tokens"]), inputs["input_ids"].shape[1]
    assert lengths == [whole, whole, whole - audio + kept, whole - audio + kept]
    assert told["cache_bytes"] == sum(lengths) * 2 * 2 * 16 * 4  # keys and values, 2 heads of 16, float32


def test_beams(family, loaded, clip) -> None:
    """Two beams under pruning are two beams under masking."""
    lm, prompts = loaded(family, "sdpa"), asked(clip, 2)
    method = Recorded(0.3, K)
    inputs = inputs_of(lm, prompts)
    how = {"max_new_tokens": 5, "do_sample": False, "num_beams": 2}
    with torch.inference_mode():
        with method.on(lm):
            ours = lm.network.generate(**inputs, **how)
        rows = method.rows  # the library repeats every prompt, one row per beam
        real, seen = left_out(lm, [p for p in prompts for _ in range(2)], rows)
        with masked(lm.network, real, seen):
            theirs = lm.network.generate(**inputs, **how)
    assert torch.equal(ours, theirs)


def test_a_static_cache(family, loaded, clip) -> None:
    lm, prompts = loaded(family, "sdpa"), asked(clip, 2)
    method = Recorded(0.4, K)
    with method.on(lm):
        usual = logits(lm, prompts)
        try:
            ours = logits(lm, prompts, cache_implementation="static")
        except (UsageError, ModelError) as e:
            pytest.fail(str(e))
    assert (ours - usual).abs().max() <= 1e-5


def test_a_second_turn_goes_on_from_the_pruned_cache(loaded, clip) -> None:
    lm, prompts = loaded("qwen2_5_omni", "sdpa"), asked(clip, 1)
    method, more = Recorded(0.3, K), torch.tensor([[65, 66, 67, 68]])
    inputs = inputs_of(lm, prompts)
    how = {"max_new_tokens": 3, "do_sample": False, "return_dict_in_generate": True, "output_logits": True}

    def talk() -> torch.Tensor:
        with torch.inference_mode():
            first = lm.network.generate(**inputs, **how)
            ids = torch.cat([first.sequences, more], 1)
            second = lm.network.generate(
                input_ids=ids, attention_mask=torch.ones_like(ids), past_key_values=first.past_key_values, **how
            )
        return torch.stack(second.logits)

    with method.on(lm):
        ours = talk()
    with masked(lm.network, *left_out(lm, prompts, method.rows)):
        theirs = talk()
    assert len(method.rows) == 1
    assert (ours - theirs).abs().max() <= 1e-5


def test_a_prompt_without_sound_is_left_alone(loaded, clip) -> None:
    lm = loaded("qwen2_5_omni", "sdpa")
    prompts = [Prompt("what is rain?", ()), *asked(clip, 1)]
    method = Recorded(0.3, K)
    with method.on(lm) as report:
        ours = logits(lm, prompts)
    assert report.clips[0] == (0, 0)
    real = inputs_of(lm, prompts)["attention_mask"].bool()
    seen = torch.ones_like(real)
    ((audio, kept),) = method.rows
    seen[1, audio] = False
    seen[1, kept] = True
    with masked(lm.network, real, seen):
        assert (ours - logits(lm, prompts)).abs().max() <= 1e-5


@pytest.mark.parametrize("family", ["qwen2_5_omni", "phi4_multimodal"])  # markers between clips, and none
def test_each_clip_has_its_share(family, loaded, clip) -> None:
    lm = loaded(family, "sdpa")
    prompt = Prompt("compare.", (clip(0, 0.8), clip(1, 2.4)))
    spans = lm.generate([prompt], 1)[0].spans
    method = Recorded(0.25, K, per="clip")
    with method.on(lm) as report:
        lm.generate([prompt], 1)
        sizes, done = report.by_clip, report.drain()
    ((_, kept),) = method.rows
    counts = [int(((kept >= a) & (kept < b)).sum()) for a, b in spans]
    assert counts == [-(-(b - a) // 4) for a, b in spans]
    assert sizes == [[(b - a, k) for (a, b), k in zip(spans, counts, strict=True)]]
    assert [done[f"kept_audio_tokens_clip{i}"] for i in (1, 2)] == counts


def test_clips_that_touch_are_told_apart_in_a_padded_batch(loaded, clip) -> None:
    lm = loaded("phi4_multimodal", "sdpa")
    prompts = [Prompt("compare.", (clip(0, 1.6), clip(1, 1.6))), Prompt("a longer question?", (clip(2, 1.6),))]
    spans = [r.spans for r in lm.generate(prompts, 1)]
    assert spans[0][0][1] == spans[0][1][0]
    with Recorded(0.5, K, per="clip").on(lm) as report:
        lm.generate(prompts, 1)
        assert [[n for n, _ in row] for row in report.by_clip] == [[b - a for a, b in row] for row in spans]


def test_refusals(loaded, clip) -> None:
    lm, prompts = loaded("qwen2_5_omni", "sdpa"), asked(clip, 1)
    inputs = inputs_of(lm, prompts)
    for layer in (0, 4, True):
        with pytest.raises(UsageError, match="not from 1 to 3"), Random(0.5, layer).on(lm):
            pass
    for keep in (0, 1.5, "x"):
        with pytest.raises(UsageError, match="no share"):
            Random(keep)

    def call(**more: Any) -> None:
        with Random(0.5).on(lm), torch.inference_mode():
            lm.network(**inputs, **more)

    with pytest.raises(UsageError, match="labels"):
        call(labels=inputs["input_ids"])
    with pytest.raises(UsageError, match="hidden states"):
        call(output_hidden_states=True)
    with Random(0.5).on(lm), pytest.raises(UsageError, match="at once"), Random(0.5).on(lm):
        pass
    with (
        pytest.raises(ModelError, match="audio language model"),
        Random(0.5).on(load("tiny-wav2vec2:init=random,seed=1")),
    ):
        pass
    lm.network.train()
    try:
        with pytest.raises(UsageError, match="evaluation mode"), Random(0.5).on(lm):
            pass
    finally:
        lm.network.eval()
    config, layer = lm.network.get_decoder().config, lm.network.get_decoder().layers[1]
    before = config._attn_implementation
    try:
        config._attn_implementation = "paged|sdpa"
        with pytest.raises(UsageError, match="paged cache"), Random(0.5).on(lm):
            pass
    finally:
        config._attn_implementation = before
    try:
        layer.compile()
        with pytest.raises(ModelError, match="compiled"), Random(0.5).on(lm):
            pass
    finally:
        layer._compiled_call_impl = None


def test_a_later_turn_with_sound_is_refused(loaded, clip) -> None:
    lm = loaded("qwen2_5_omni", "sdpa")
    inputs = inputs_of(lm, asked(clip, 1))
    with torch.inference_mode(), Random(0.5).on(lm):
        out = lm.network.generate(**inputs, max_new_tokens=1, return_dict_in_generate=True, do_sample=False)
        with pytest.raises(InputError, match="later turn with sound"):
            lm.network(input_ids=inputs["input_ids"], cache=out.past_key_values)
