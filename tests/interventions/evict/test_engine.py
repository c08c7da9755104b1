"""Evicting keys equals masking them, head by head, frees them, and leaves nothing behind."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from audiolm_fixtures import inputs_of

from otoscope.core.errors import ModelError, UsageError
from otoscope.core.nouns import Prompt
from otoscope.interventions.catalogue import INTERVENTIONS, resolve_intervention
from otoscope.interventions.evict.layer import EvictedLayer
from otoscope.interventions.evict.random import Random
from otoscope.models.resolve import load

METHODS = tuple(n for n in INTERVENTIONS if n.startswith("evict/"))


@pytest.fixture(scope="session")
def loaded(written):
    return functools.cache(lambda family, attention="sdpa": load(f"{written(family)}:attention={attention}"))


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


@contextmanager
def recording(monkeypatch) -> Iterator[dict[Any, list[tuple[int, torch.Tensor]]]]:
    """What every layer has left, as ``(tokens added so far, real tokens that stay [B, H_kv, n], -1 for none)``."""
    found: dict[Any, list[tuple[int, torch.Tensor]]] = {}
    plain = EvictedLayer.retain

    def retain(self, index, real):
        plain(self, index, real)
        stays = self.at.masked_fill(~real[:, None], -1)
        found.setdefault(len(found) if not hasattr(self, "number") else self.number, []).append((self.added, stays))
        self.number = getattr(self, "number", len(found) - 1)

    with monkeypatch.context() as m:
        m.setattr(EvictedLayer, "retain", retain)
        yield found


@contextmanager
def masked(network: Any, real: torch.Tensor, left: dict[Any, list[tuple[int, torch.Tensor]]]) -> Iterator[None]:
    """The reference: nothing is evicted, but once a layer had ``added`` tokens, the keys that it evicted then are
    masked. Written from the definition: a head's query sees a key that is real, not later, and was never evicted."""
    layers = network.get_decoder().layers
    n = len(layers)

    def instead(module: Any, args: Any, kwargs: Any) -> Any:
        cache, i = kwargs.get("cache", kwargs.get("past_key_values")), module.self_attn.layer_idx
        past = int(cache.get_seq_length(i))
        if past == 0:
            return args, kwargs
        total, prompt = past + args[0].shape[1], real.shape[1]
        keys = torch.cat([real, torch.ones(len(real), total - prompt, dtype=torch.bool)], 1)
        number = keys.cumsum(1) - 1
        heads = module.self_attn.config.num_attention_heads
        allowed = keys[:, None].expand(-1, heads, -1).clone()
        for added, stays in left[i % n]:
            if added > past:
                continue
            group = heads // stays.shape[1]
            for b in range(len(real)):
                for h in range(heads):
                    gone = ~torch.isin(number[b, :added], stays[b, h // group]) & keys[b, :added]
                    allowed[b, h, :added] &= ~gone
        queries = torch.arange(past, total)
        allowed = allowed[:, :, None, :] & (torch.arange(total)[None, :] <= queries[:, None])
        mask = torch.zeros(allowed.shape).masked_fill(~allowed, torch.finfo(torch.float32).min)
        return args, {**kwargs, "attention_mask": mask}

    handles = [m.register_forward_pre_hook(instead, with_kwargs=True, prepend=True) for m in layers]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def both(lm, prompts, method, monkeypatch, n: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    with recording(monkeypatch) as left, method.on(lm):
        ours = logits(lm, prompts, n)
    real = inputs_of(lm, prompts)["attention_mask"].bool()
    assert len(left) == lm.sites.n_layers
    with masked(lm.network, real, left):
        theirs = logits(lm, prompts, n)
    return ours, theirs


@pytest.mark.parametrize(("attention", "n"), [("sdpa", 1), ("sdpa", 3), ("eager", 1), ("eager", 3)])
@pytest.mark.parametrize("scope", ["prompt", "audio"])
def test_evicting_equals_masking(family, loaded, clip, monkeypatch, attention, n, scope) -> None:
    lm, prompts = loaded(family, attention), asked(clip, n)
    ours, theirs = both(lm, prompts, Random(0.3, scope), monkeypatch)
    bare = logits(lm, prompts)
    assert (ours - theirs).abs().max() <= 1e-5
    assert (ours[0] - bare[0]).abs().max() <= 1e-5  # the prompt is read whole
    assert (ours - bare).abs().max() > 1e-3  # it does something


@pytest.mark.parametrize("name", METHODS)
def test_every_method_equals_masking_also_while_answering(family, loaded, clip, monkeypatch, name) -> None:
    lm, prompts = loaded(family), asked(clip, 2)
    method = resolve_intervention(f"{name}:keep=0.4,every=2")
    ours, theirs = both(lm, prompts, method, monkeypatch, 6)
    assert (ours - theirs).abs().max() <= 1e-5


@pytest.mark.parametrize("name", METHODS)
def test_a_batch_keeps_what_each_prompt_keeps_alone(loaded, clip, monkeypatch, name) -> None:
    lm, prompts = loaded("qwen2_5_omni"), asked(clip, 3)
    method = resolve_intervention(f"{name}:keep=0.4")
    with recording(monkeypatch) as together, method.on(lm):
        logits(lm, prompts, 1)
    for b, prompt in enumerate(prompts):
        with recording(monkeypatch) as alone, method.on(lm):
            logits(lm, [prompt], 1)
        for i, ((_, stays),) in alone.items():
            mine = together[i][0][1][b]
            assert torch.equal(mine[mine >= 0].view(len(mine), -1), stays[0]), (b, i)


def test_draws_are_of_seed_layer_and_length_alone(loaded, clip, monkeypatch) -> None:
    lm, prompts = loaded("qwen2_5_omni"), asked(clip, 2)

    def drawn(seed: int, batch) -> list[torch.Tensor]:
        with recording(monkeypatch) as left, Random(0.4, seed=seed).on(lm):
            logits(lm, batch, 1)
        return [found[0][1][-1] for found in left.values()]

    first, again, other, alone = drawn(0, prompts), drawn(0, prompts), drawn(1, prompts), drawn(0, prompts[1:])
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(first, alone, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(first, other, strict=True))
    assert not torch.equal(first[0], first[1])
    assert not torch.equal(first[0][0], first[0][1])  # heads differ


@pytest.mark.parametrize("every", [0, 2])
def test_keeping_all_is_the_bare_model(family, loaded, clip, every) -> None:
    lm, prompts = loaded(family), asked(clip, 3)
    bare = logits(lm, prompts, 6)
    for name in METHODS:
        with resolve_intervention(f"{name}:keep=1,every={every}").on(lm) as report:
            assert torch.equal(logits(lm, prompts, 6), bare), name
        told = report.drain()
        assert told["kept_cache_share"] == 1
        assert told["cache_bytes_before"] == told["cache_bytes_after"]
    assert torch.equal(logits(lm, prompts, 6), bare)
    assert not [name for name, m in lm.network.named_modules() if "forward" in m.__dict__]


def test_memory_is_freed_and_counted(loaded, clip) -> None:
    lm, prompts = loaded("qwen2_5_omni"), asked(clip, 1)
    inputs = inputs_of(lm, prompts)
    n = inputs["input_ids"].shape[1]
    kept = -(-3 * n // 10)
    with torch.inference_mode(), Random(0.3).on(lm) as report:
        out = lm.network.generate(**inputs, max_new_tokens=3, do_sample=False, return_dict_in_generate=True)
    told, token = report.drain(), 2 * 2 * 16 * 4  # keys and values, 2 heads of 16, float32
    held = 0
    for layer in out.past_key_values.layers:
        assert layer.keys.shape == (1, 2, kept + 2, 16)
        assert layer.get_seq_length() == n + 2  # the text is as long as ever
        for tensor in (layer.keys, layer.values):
            held += tensor.untyped_storage().nbytes()
    assert told["cache_bytes_before"] == 4 * token * n
    assert told["cache_bytes_after"] == 4 * token * kept
    assert told["cache_bytes"] == 4 * token * (kept + 2) == held
    assert told["cache_tokens"] == n
    assert told["kept_cache_tokens"] == kept
    assert told["kept_cache_share"] == kept / n
    assert 0 < told["kept_cache_audio_share"] < 1
    assert told["eviction_seconds"] > 0
    assert report.drain() == {}


@pytest.mark.parametrize("name", METHODS)
def test_nothing_is_remembered_where_nothing_is_evicted_again(loaded, clip, name) -> None:
    lm = loaded("qwen2_5_omni")
    how = {"max_new_tokens": 1, "do_sample": False, "return_dict_in_generate": True}
    for every in (0, 2):
        with torch.inference_mode(), resolve_intervention(f"{name}:keep=0.4,every={every}").on(lm):
            out = lm.network.generate(**inputs_of(lm, asked(clip, 1)), **how)
        rows = [row for layer in out.past_key_values.layers for row in layer.rows]
        remembers = any(row.queries is not None or row.memory for row in rows)
        watches = name.split("/")[1] in ("snapkv", "tova", "h2o", "expected-attention")
        assert remembers == (watches and every > 0)


def test_a_cache_stays_in_its_budget_while_answering(loaded, clip) -> None:
    lm, prompts = loaded("qwen2_5_omni"), asked(clip, 1)
    inputs = inputs_of(lm, prompts)
    n = inputs["input_ids"].shape[1]
    how = {"max_new_tokens": 13, "min_new_tokens": 13, "do_sample": False, "return_dict_in_generate": True}
    with torch.inference_mode(), resolve_intervention("evict/tova:keep=0.5,every=4").on(lm) as report:
        out = lm.network.generate(**inputs, **how)
    assert {layer.keys.shape[2] for layer in out.past_key_values.layers} == {-(-(n + 12) // 2)}
    assert report.drain()["evictions"] == 3


def test_scopes_leave_the_text_alone(loaded, clip, monkeypatch) -> None:
    lm = loaded("qwen2_5_omni")
    prompt = Prompt("compare.", (clip(0, 0.8), clip(1, 2.4)))
    spans = lm.generate([prompt], 1)[0].spans
    n = inputs_of(lm, [prompt])["input_ids"].shape[1]
    text = [i for i in range(n) if not any(a <= i < b for a, b in spans)]
    for name in METHODS:
        for scope in ("audio", "clip"):
            with recording(monkeypatch) as left, resolve_intervention(f"{name}:keep=0.25,scope={scope}").on(lm) as told:
                logits(lm, [prompt], 1)
            audio = sum(b - a for a, b in spans)
            wanted = [-(-(b - a) // 4) for a, b in spans] if scope == "clip" else [-(-audio // 4)]
            for ((_, stays),) in left.values():
                for own in stays[0]:
                    assert set(text) <= set(own.tolist())
                    counts = [int(((own >= a) & (own < b)).sum()) for a, b in spans]
                    assert (counts if scope == "clip" else [sum(counts)]) == wanted
            assert told.drain()["kept_cache_audio_share"] == pytest.approx(sum(wanted) / audio)


def test_a_prompt_without_sound_keeps_its_text(loaded, clip, monkeypatch) -> None:
    lm = loaded("qwen2_5_omni")
    prompts = [Prompt("what is rain?", ()), *asked(clip, 1)]
    ours, theirs = both(lm, prompts, Random(0.3, "audio"), monkeypatch)
    assert (ours - theirs).abs().max() <= 1e-5


@pytest.mark.parametrize("name", ["evict/tova:keep=0.4,every=2", "evict/knorm:keep=0.3"])
def test_beams(family, loaded, clip, name, monkeypatch) -> None:
    """Two beams in one batch give what they give when every prompt is alone, though their caches are reordered."""
    lm, prompts = loaded(family), asked(clip, 2)
    how = {"max_new_tokens": 6, "do_sample": False, "num_beams": 2}
    with torch.inference_mode(), resolve_intervention(name).on(lm):
        together = lm.network.generate(**inputs_of(lm, prompts), **how)
        alone = [lm.network.generate(**inputs_of(lm, [p]), **how)[0] for p in prompts]
    width = inputs_of(lm, prompts)["input_ids"].shape[1]
    if not lm.card.breaks:
        for b, row in enumerate(alone):
            new = row[inputs_of(lm, [prompts[b]])["input_ids"].shape[1] :]
            assert together[b, width : width + len(new)].tolist() == new.tolist()


def test_a_second_turn_goes_on_from_the_evicted_cache(loaded, clip, monkeypatch) -> None:
    lm, prompts = loaded("qwen2_5_omni"), asked(clip, 2)
    inputs, more = inputs_of(lm, prompts), torch.tensor([[65, 66, 67, 68], [69, 70, 71, 72]])
    how = {"max_new_tokens": 3, "do_sample": False, "return_dict_in_generate": True, "output_logits": True}

    def talk() -> torch.Tensor:
        with torch.inference_mode():
            first = lm.network.generate(**inputs, **how, min_new_tokens=3)
            ids = torch.cat([first.sequences, more], 1)
            mask = torch.cat([inputs["attention_mask"], torch.ones(2, 7, dtype=torch.long)], 1)
            second = lm.network.generate(
                input_ids=ids, attention_mask=mask, cache=first.past_key_values, min_new_tokens=3, **how
            )
        return torch.stack(second.logits)

    with recording(monkeypatch) as left, Random(0.3).on(lm):
        ours = talk()
    with masked(lm.network, inputs["attention_mask"].bool(), left):
        theirs = talk()
    assert (ours - theirs).abs().max() <= 1e-5


def test_each_of_two_clips_that_touch_has_its_share(loaded, clip) -> None:
    lm = loaded("phi4_multimodal")
    prompt = Prompt("compare.", (clip(0, 0.8), clip(1, 2.4)))
    spans = lm.generate([prompt], 1)[0].spans
    first = spans[0][0]
    with resolve_intervention("evict/random:keep=0.5,scope=clip").on(lm) as report:
        lm.generate([prompt], 1)
        kept = report.trace()["kept_audio"]
    for a, b in spans:
        assert kept[a - first : b - first].sum() == pytest.approx(-(-(b - a) // 2), abs=1e-4)


def test_refusals(loaded, clip) -> None:
    lm, prompts = loaded("qwen2_5_omni"), asked(clip, 1)
    inputs = inputs_of(lm, prompts)
    for wrong in ("keep=0", "scope=song", "every=-1", "every=2,scope=audio", "seed=1,kep=2"):
        with pytest.raises(UsageError):
            resolve_intervention(f"evict/random:{wrong}")
    for wrong in ("evict/snapkv:kernel=4", "evict/snapkv:window=0", "evict/h2o:recent=2", "evict/streaming:sinks=0"):
        with pytest.raises(UsageError):
            resolve_intervention(wrong)
    with pytest.raises(UsageError, match="evict/knorm"):
        resolve_intervention("evict/knrm")
    with Random().on(lm), pytest.raises(UsageError, match="at once"), Random().on(lm):
        pass
    with pytest.raises(UsageError, match="without a cache"), Random().on(lm), torch.inference_mode():
        lm.network(**inputs, use_cache=False)
    with pytest.raises(UsageError, match="StaticLayer"), Random().on(lm):
        logits(lm, prompts, cache_implementation="static")
    with (
        pytest.raises(ModelError, match="audio language model"),
        Random().on(load("tiny-wav2vec2:init=random,seed=1")),
    ):
        pass
    config, layer = lm.network.get_decoder().config, lm.network.get_decoder().layers[1]
    before = config._attn_implementation
    try:
        config._attn_implementation = "paged|sdpa"
        with pytest.raises(UsageError, match="paged cache"), Random().on(lm):
            pass
    finally:
        config._attn_implementation = before
    try:
        layer.compile()
        with pytest.raises(ModelError, match="compiled"), Random().on(lm):
            pass
    finally:
        layer._compiled_call_impl = None
    bare = logits(lm, prompts)

    def half_way() -> None:
        with Random(0.3).on(lm):
            logits(lm, prompts, 2)
            raise RuntimeError("half-way")

    with pytest.raises(RuntimeError, match="half-way"):
        half_way()
    assert torch.equal(logits(lm, prompts), bare)
