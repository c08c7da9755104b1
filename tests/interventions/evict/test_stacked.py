"""Pruners, evictors and other interventions in one context: still equal to masking, in whatever order."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from audiolm_fixtures import inputs_of

from otoscope.core.errors import UsageError
from otoscope.core.nouns import Prompt
from otoscope.interventions.catalogue import resolve_intervention
from otoscope.interventions.evict.evictor import Evictor
from otoscope.interventions.prune.dart import Dart
from otoscope.interventions.prune.pruner import Pruner
from otoscope.models.resolve import load


@pytest.fixture(scope="session")
def loaded(written):
    return functools.cache(lambda family: load(str(written(family))))


def asked(clip, n: int) -> list[Prompt]:
    texts = ("what do you hear?", "is it a dog?", "transcribe the speech.")
    return [Prompt(texts[i], (clip(i, 0.9 + 0.8 * i),)) for i in range(n)]


def logits(lm, prompts, n: int = 4) -> torch.Tensor:
    how = {"do_sample": False, "eos_token_id": None, "output_logits": True, "return_dict_in_generate": True}
    with torch.inference_mode():
        out = lm.network.generate(**inputs_of(lm, prompts), min_new_tokens=n, max_new_tokens=n, **how)
    return torch.stack(out.logits)


@contextmanager
def recording(monkeypatch) -> Iterator[tuple[dict[int, list[Any]], dict[int, list[Any]]]]:
    """What pruners kept, by layer and row, as positions in what they were given; what the evictor kept, likewise."""
    pruned: dict[int, list[Any]] = {}
    evicted: dict[int, list[Any]] = {}

    def spy(kind: type) -> None:
        plain = kind.choose

        def choose(self, row):
            found = plain(self, row)
            stays = row.real.clone()
            stays[row.audio] = False
            stays[found[0]] = True
            pruned.setdefault(self.layer, []).append(stays)
            return found

        monkeypatch.setattr(kind, "choose", choose)

    plain_kept = Evictor.kept

    def kept(self, held, stays):
        plain_kept(self, held, stays)
        evicted.setdefault(held.layer, []).append(stays)

    spy(Pruner)
    spy(Dart)
    monkeypatch.setattr(Evictor, "kept", kept)
    try:
        yield pruned, evicted
    finally:
        monkeypatch.undo()


@contextmanager
def masked(network: Any, real: torch.Tensor, pruned: Any, evicted: Any) -> Iterator[None]:
    """The reference: everything runs whole. From a pruner's layer on, what it dropped is masked; after the prompt, also
    what the evictor took from each head."""
    rows, width = real.shape
    left = [r.nonzero()[:, 0] for r in real]  # of each row, the tokens that are still there, as positions in the prompt
    shifted = [0] * rows  # where a row begins in what the next layers are given
    seen, heads = {}, {}
    n_layers = len(network.get_decoder().layers)
    for i in range(n_layers):
        if i in pruned:
            stays = pruned[i]
            left = [left[b][stays[b][shifted[b] :]] for b in range(rows)]
            longest = max(len(x) for x in left)
            shifted = [longest - len(x) for x in left]
        elif i == 0:
            shifted = [width - len(x) for x in left]
        seen[i] = torch.zeros_like(real)
        for b, own in enumerate(left):
            seen[i][b, own] = True
        if i in evicted:
            n = network.get_decoder().config.num_attention_heads
            heads[i] = torch.zeros(rows, n, width, dtype=torch.bool)
            for b, own in enumerate(left):
                for h in range(n):
                    kept = evicted[i][b]
                    heads[i][b, h, own[kept[h // (n // len(kept))]]] = True

    def instead(module: Any, args: Any, kwargs: Any) -> Any:
        cache, i = kwargs.get("cache", kwargs.get("past_key_values")), module.self_attn.layer_idx
        past = int(cache.get_seq_length(i))
        total = past + args[0].shape[1]
        keys = seen[i][:, None] if past == 0 or i not in heads else heads[i]
        keys = torch.cat([keys, torch.ones(*keys.shape[:2], total - width, dtype=torch.bool)], -1)
        allowed = keys[:, :, None, :] & (torch.arange(total)[None, :] <= torch.arange(past, total)[:, None])
        mask = torch.zeros(allowed.shape).masked_fill(~allowed, torch.finfo(torch.float32).min)
        return args, {**kwargs, "attention_mask": mask}

    handles = [
        m.register_forward_pre_hook(instead, with_kwargs=True, prepend=True) for m in network.get_decoder().layers
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


STACKS = {
    "a pruner and an evictor": "prune/fastv:keep=0.5,layer=2+evict/snapkv:keep=0.4,window=5",
    "the other way round": "evict/knorm:keep=0.5,scope=audio+prune/frame:keep=0.4,layer=1",
    "two pruners": "prune/frame:keep=0.5,layer=3+prune/random:keep=0.6,layer=1",
    "two pruners and an evictor": "prune/frame:keep=0.7,layer=1+prune/dart:keep=0.5,layer=3+evict/tova:keep=0.6",
}


@pytest.mark.parametrize("case", STACKS)
def test_a_stack_equals_masking(family, loaded, clip, monkeypatch, case) -> None:
    lm, prompts = loaded(family), asked(clip, 3)
    stack = resolve_intervention(STACKS[case])
    with recording(monkeypatch) as (pruned, evicted), stack.on(lm):
        ours = logits(lm, prompts)
    assert len(pruned) == STACKS[case].count("prune/")
    assert len(evicted) == (lm.sites.n_layers if "evict/" in STACKS[case] else 0)
    with masked(lm.network, inputs_of(lm, prompts)["attention_mask"].bool(), pruned, evicted):
        theirs = logits(lm, prompts)
    bare = logits(lm, prompts)
    assert (ours - theirs).abs().max() <= 1e-5
    assert (ours - bare).abs().max() > 1e-3


def test_the_order_of_names_does_not_matter(loaded, clip) -> None:
    lm, prompts = loaded("qwen2_5_omni"), asked(clip, 2)
    parts = "prune/frame:keep=0.5", "evict/knorm:keep=0.5", "prune/random:keep=0.5,layer=3"
    found, identities = [], []
    for order in ((0, 1, 2), (2, 1, 0), (1, 0, 2)):
        stack = resolve_intervention("+".join(parts[i] for i in order))
        identities.append(stack.identity())
        with stack.on(lm):
            found.append(logits(lm, prompts))
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])
    assert identities[0] == identities[1] == identities[2]


def test_one_report(loaded, clip) -> None:
    lm, prompts = loaded("qwen2_5_omni"), asked(clip, 1)
    n, audio = inputs_of(lm, prompts)["input_ids"].shape[1], lm.generate(prompts, 1)[0].tokens.audio
    stack = resolve_intervention("prune/frame:keep=0.5,layer=1+prune/frame:keep=0.5,layer=3+evict/knorm:keep=0.5")
    with stack.on(lm) as report:
        logits(lm, prompts)
        told = report.drain()
    first = -(-audio // 2)
    last = -(-first // 2)
    assert told["audio_tokens"] == audio
    assert told["kept_audio_tokens"] == last
    assert told["kept_audio_share"] == last / audio
    assert told["layer_kept_audio_share"] == pytest.approx((1 + 2 * first / audio + last / audio) / 4)
    lengths = [n, n - audio + first, n - audio + first, n - audio + last]
    token = 2 * 2 * 16 * 4
    assert told["cache_bytes_before"] == token * sum(lengths)
    assert told["cache_bytes_after"] == token * sum(-(-x // 2) for x in lengths)
    assert told["cache_bytes"] == told["cache_bytes_after"] + 4 * 3 * token
    assert told["scoring_seconds"] > 0
    assert told["eviction_seconds"] > 0
    assert not [k for k in told if "(" in k and "cache" in k]


def test_with_an_intervention_that_acts_through_sites(loaded, clip) -> None:
    """Ablating the last layer's feed-forward under a pruner and an evictor is the same as by a plain hook."""
    lm, prompts = loaded("qwen2_5_omni"), asked(clip, 2)
    stack = resolve_intervention("evict/knorm:keep=0.5+ablate:site=ffn_out,layers=3+prune/frame:keep=0.5")
    with stack.on(lm):
        ours = logits(lm, prompts)
    handle = lm.network.get_decoder().layers[3].mlp.register_forward_hook(lambda m, args, out: out * 0)
    try:
        with resolve_intervention("prune/frame:keep=0.5+evict/knorm:keep=0.5").on(lm):
            theirs = logits(lm, prompts)
    finally:
        handle.remove()
    assert torch.equal(ours, theirs)
    with resolve_intervention("ablate:site=ffn_out,layers=3").on(lm) as report:
        assert not torch.equal(logits(lm, prompts), ours)
        assert report.drain() == {}


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("evict/knorm+evict/tova", "cannot both evict"),
        ("prune/frame+prune/random", "prune at layer 2"),
        ("prune/frame:layer=1+prune/random:layer=1,keep=0.1+evict/tova", "prune at layer 1"),
    ],
)
def test_what_cannot_stand_together(name, word) -> None:
    with pytest.raises(UsageError, match=word):
        resolve_intervention(name)


def test_contexts_by_hand_must_nest_in_order(loaded, clip) -> None:
    lm = loaded("qwen2_5_omni")
    low, high = resolve_intervention("prune/frame:layer=1"), resolve_intervention("prune/frame:layer=2")
    evictor = resolve_intervention("evict/knorm")
    for outer, inner in ((high, low), (evictor, low)):
        with outer.on(lm), pytest.raises(UsageError, match="inside"), inner.on(lm):
            pass
    with low.on(lm), high.on(lm), evictor.on(lm):
        ours = logits(lm, asked(clip, 1))
    with resolve_intervention("evict/knorm+prune/frame:layer=1+prune/frame:layer=2").on(lm):
        assert torch.equal(logits(lm, asked(clip, 1)), ours)
    assert not [name for name, m in lm.network.named_modules() if "forward" in m.__dict__]
