"""The eviction engine: after a layer has read the prompt, its cache loses what a method deems least useful, exactly.

The prompt itself is read whole; only what is decoded afterwards sees fewer keys, so evicting equals masking the evicted
keys, head by head, which a test holds. Keys keep their rotary angles, and the cache keeps telling the length of the
whole text (:mod:`.layer`), so decoding goes on at the positions of the full prompt, under any rotary embedding. Masks
of shortened layers are built by the library's own function. Scores are of one prompt at a time, as if it were alone.

Each layer is cut as soon as it has run, so a prompt never needs its whole cache at once. The network's code and its
attention kernel stay its own: the engine stands around the layers through :mod:`otoscope.interventions.hooks`. Ours.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from transformers.cache_utils import DynamicLayer

from otoscope.core.errors import ModelError, UsageError
from otoscope.core.sites import Place
from otoscope.interventions.decoder import (
    EVICTS,
    Tokens,
    audio_id,
    cache_bytes,
    cache_of,
    causal_mask,
    clip_sizes,
    clips_of,
    held,
    hidden_of,
    ids_of,
    layer_bytes,
    now,
    padding,
    refuse,
    taking,
)
from otoscope.interventions.evict.evictor import Evictor, Held
from otoscope.interventions.evict.layer import EvictedLayer, RowState
from otoscope.interventions.evict.report import Evicted
from otoscope.interventions.hooks import Action, Observe, Skip, hooked, places
from otoscope.interventions.prune.budget import kept_count
from otoscope.interventions.shadow import ROOT
from otoscope.interventions.tally import sited

#: Tokens ``[p]`` of which a budget stays.
Part = tuple[Tensor, int]


class Engine:
    """State of one context."""

    def __init__(self, model: Any, method: Evictor) -> None:
        inside = sited(model, method.name)
        self.method, self.name, self.network, self.sites = method, method.name, inside.network, inside.sites
        self.audio_id = audio_id(model, self.name)
        decoder = self.network.get_decoder()
        self.config = decoder.config
        refuse(self.network, self.config, self.name)
        self.heads = int(self.config.num_attention_heads)
        self.report = Evicted()
        self._rotary = copy.deepcopy(decoder.rotary_emb) if method.watches == "projected" else None
        self._positions: Tensor | None = None
        self._queries: dict[int, Tensor] = {}
        self._real: Tensor | None = None
        self._sizes: Tensor | None = None
        self._ids: Tensor | None = None
        self._tokens: Tokens | None = None
        self._masks: dict[Any, Any] = {}
        self._cache: Any = None
        self._watching = False

    def actions(self) -> list[Action]:
        """What stands before the network, around its layers, and at their queries."""
        found: list[Action] = [Skip(ROOT, self._enter)]
        watched = []
        if self.method.watches == "met":
            watched = places(self.sites, "self_q")
        elif self.method.watches == "projected":
            fused = any(s.name == "qkv_proj" for s in self.sites.sites)
            watched = places(self.sites, "qkv_proj" if fused else "q_proj")
            found.append(Observe(places(self.sites, "positions")[0], self._saw_positions))
        found += [Observe(p, partial(self._saw, p), lambda tick: self._watching) for p in watched]
        return [*found, *(Skip(p, partial(self._layer, p)) for p in places(self.sites, "block_out"))]

    # --- before the network ---

    def _enter(self, network: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        self._ids, self._sizes = ids_of(args, kwargs), clip_sizes(kwargs)
        self._real = padding(kwargs.get("attention_mask"), self._ids)
        self._masks, self._cache, self._tokens = {}, None, None
        try:
            result = network(*args, **kwargs)
        finally:
            self._queries, self._masks = {}, {}
        if self._cache is not None:
            self.report.in_the_end[-1:] = [cache_bytes(self._cache)]
            self._cache = None  # caches belong to the caller
        return result

    def _saw(self, place: Place, value: Tensor) -> None:
        if value.ndim == 3:  # a projection, heads side by side
            size = int(self._attention(place.layer or 0).head_dim)
            value = value[..., : self.heads * size].unflatten(-1, (self.heads, size)).transpose(1, 2)
        self._queries[place.layer or 0] = value

    def _saw_positions(self, value: Tensor) -> None:
        self._positions = value

    # --- around a layer ---

    def _layer(self, place: Place, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        hidden, named = hidden_of(args, kwargs)
        i, cache = int(place.layer or 0), cache_of(named)
        if cache is None:
            raise UsageError("the network is called without a cache", where=self.name, fix="Leave use_cache on.")
        rows, n = hidden.shape[:2]
        past = int(cache.get_seq_length(i))
        self._watching = past == 0 or bool(self.method.every)
        if past == 0:
            out = module(*args, **kwargs)
            if n > 1:
                self._prompt(i, cache, held() or self._whole(rows, n, hidden))
            return out
        self._cache = cache
        layer = cache.layers[i]
        if not isinstance(layer, EvictedLayer):
            return module(*args, **kwargs)
        self.report.in_the_end = self.report.in_the_end or [0]
        real = layer.expect(self._new(rows, n, hidden), all_real=n == 1)
        out = module(hidden, **{**named, "attention_mask": self._mask(i, hidden, real, cache), "position_ids": None})
        if self.method.every:
            self._remember(i, layer.rows, real[:, -n:])
            if layer.since >= self.method.every:
                began = now(hidden)
                self._cut(i, layer, [self._parts(row.seen, None) for row in layer.rows])
                self.report.again += len(layer.rows)
                self.report.seconds += now(hidden) - began
        return out

    def _whole(self, rows: int, n: int, hidden: Tensor) -> Tokens:
        """The prompt's tokens, where nothing has been pruned: one object for all layers."""
        if self._tokens is not None:
            return self._tokens
        ids = self._ids
        if ids is not None and tuple(ids.shape) != (rows, n):
            ids = None
        if ids is None and self.method.scope != "prompt":
            raise ModelError(
                "cannot tell which tokens are sound: the network was not called with the tokens of the whole prompt",
                where=self.name,
                fix="Call it with input_ids that the processor has widened, in one piece, or take scope=prompt.",
            )
        real = torch.ones(rows, n, dtype=torch.bool, device=hidden.device)
        real = real if self._real is None else self._real[:, -n:].to(real)
        clips = None if ids is None else clips_of(ids.to(real.device), real, self.audio_id, self._sizes)
        self._tokens = Tokens(ids, real, clips)
        return self._tokens

    def _new(self, rows: int, n: int, hidden: Tensor) -> Tensor:
        """Which of the tokens that come are real: those of a later turn may be padded."""
        new = torch.ones(rows, n, dtype=torch.bool, device=hidden.device)
        return new if n == 1 or self._real is None else self._real[:, -n:].to(new)

    def _mask(self, i: int, hidden: Tensor, real: Tensor, cache: Any) -> Any:
        """Layers that have read the same tokens keep as many of them, so they share their mask."""
        layer = cache.layers[i]
        key = (id(layer.tokens), hidden.device)
        if key not in self._masks:
            with layer.as_it_is():
                self._masks[key] = causal_mask(self.config, hidden, real, cache, i)
        return self._masks[key]

    # --- the end of a prompt ---

    def _prompt(self, i: int, cache: Any, tokens: Tokens) -> None:
        """Cut layer ``i``, which has just read the prompt ``tokens``."""
        whole = cache.layers[i]
        if type(whole) is not DynamicLayer:
            what = f"its cache has a {type(whole).__name__}, from which nothing can be freed"
            raise UsageError(what, where=self.name, fix="Let generate use its usual, dynamic cache.")
        assert whole.keys is not None
        if i == 0:
            self.report.before.append(0)
            self.report.after.append(0)
            self.report.in_the_end.append(0)
        self._cache = cache
        self.report.before[-1] += layer_bytes(whole)
        began = now(whole.keys)
        real = tokens.real.to(whole.keys.device)
        clips = torch.zeros_like(real, dtype=torch.long) if tokens.clips is None else tokens.clips.to(real.device)
        heard = clips > 0
        counts = [int(r.sum()) for r in real]
        parts = [self._parts(n, c[r]) for n, r, c in zip(counts, real, clips, strict=True)]
        if any(budget < len(part) for row in parts for part, budget in row) or self.method.every:
            layer = EvictedLayer(whole, tokens, [RowState(n) for n in counts])
            self._remember(i, layer.rows, real)
            cache.layers[i] = layer
            kept = self._cut(i, layer, parts)
            if not self.method.every:  # nothing will be scored again, so nothing is remembered
                layer.rows = [RowState(row.seen) for row in layer.rows]
        else:
            kept = [torch.arange(n, device=heard.device)[None] for n in counts]
        for n, r, h, k in zip(counts, real, heard, kept, strict=True):
            self.report.prompt(n, k.shape[1], h[r], k)
        self._queries.pop(i, None)
        self.report.seconds += now(whole.keys) - began
        self.report.after[-1] += layer_bytes(cache.layers[i])

    def _parts(self, n: int, clips: Tensor | None) -> list[Part]:
        """Which of a prompt's tokens ``[n]`` may go, and how many of them stay. ``clips``: of which clip each is."""
        keep, scope = self.method.keep, self.method.scope
        if scope == "prompt" or clips is None:
            return [(torch.arange(n), kept_count(keep, n))]
        audio = (clips > 0).nonzero()[:, 0]
        breaks = (clips[audio].diff().nonzero()[:, 0] + 1).tolist() if scope == "clip" else []
        found = [audio[a:b] for a, b in pairwise([0, *breaks, len(audio)])]
        return [(part, kept_count(keep, len(part))) for part in found if len(part)]

    def _remember(self, i: int, rows: list[RowState], real: Tensor) -> None:
        """Put the queries of the tokens that came to those that are wanted of each prompt."""
        came = self._queries.pop(i, None)
        if came is None:
            return
        last = self.method.last
        for b, row in enumerate(rows):
            new = came[b][:, real[b]]
            new = new if row.queries is None else torch.cat([row.queries, new], 1)
            row.queries = new.clone() if last is None else new[:, -last:].clone()

    def _cut(self, i: int, layer: EvictedLayer, parts: list[list[Part]]) -> list[Tensor]:
        """Evict; which of its real tokens each prompt has kept ``[H_kv, m]``."""
        assert layer.keys is not None
        device, kept, at = layer.keys.device, [], []
        for b, row in enumerate(layer.rows):
            real = layer.real[b].nonzero()[:, 0]
            found = self._held(i, b, layer, row, real)
            stay = self._stay(found, parts[b])
            kept.append(stay.nonzero()[:, 1].view(len(stay), -1))
            self.method.kept(found, kept[-1])
            at.append(real[kept[-1]])
            if self.method.last is None:
                row.queries = None
        width = max(k.shape[1] for k in kept)
        index = torch.zeros(len(kept), layer.keys.shape[1], width, dtype=torch.long, device=device)
        real = torch.zeros(len(kept), width, dtype=torch.bool, device=device)
        for b, own in enumerate(at):
            index[b, :, width - own.shape[1] :] = own
            real[b, width - own.shape[1] :] = True
        if width < layer.keys.shape[2] or int(real.sum()) < int(layer.real.sum()):
            layer.retain(index, real)
        layer.since = 0
        return kept

    def _held(self, i: int, b: int, layer: EvictedLayer, row: RowState, real: Tensor) -> Held:
        assert layer.keys is not None
        assert layer.values is not None
        attention = self._attention(i)
        scale = float(getattr(attention, "scaling", int(attention.head_dim) ** -0.5))
        keys, values = layer.keys[b][:, real], layer.values[b][:, real]
        angles = partial(self._angles, b, keys)
        return Held(i, keys, values, layer.at[b][:, real], row.seen, row.queries, scale, angles, row.memory)

    def _stay(self, found: Held, parts: list[Part]) -> Tensor:
        stay = torch.ones(found.keys.shape[:2], dtype=torch.bool, device=found.keys.device)
        scores = self.method.scores(found)
        if scores.shape != stay.shape:
            raise UsageError(f"gave {tuple(scores.shape)} scores for {tuple(stay.shape)} keys", where=self.name)
        for part, budget in parts:
            part = part[: found.n].to(stay.device)
            budget = min(budget, len(part))
            picked = part[self.method.pick(found, scores, part, budget)]
            stay[:, part] = False
            stay.scatter_(1, picked, True)
        return stay

    def _angles(self, b: int, like: Tensor, n: int) -> tuple[Tensor, Tensor]:
        """Cosines and sines ``[n, d]`` of the next ``n`` positions of prompt ``b``."""
        assert self._rotary is not None
        assert self._positions is not None
        at = self._positions
        at = at[..., min(b, at.shape[-2] - 1), -1:][..., None, :] + 1 + torch.arange(n, device=at.device)
        cos, sin = self._rotary(like.float()[:1], at)
        while cos.ndim > 2:  # one set per axis of a multimodal rotary embedding, which agree after the prompt
            cos, sin = cos[0], sin[0]
        return cos, sin

    def _attention(self, layer: int) -> Any:
        return self.network.get_decoder().layers[layer].self_attn


@contextmanager
def evicting(engine: Engine) -> Iterator[Evicted]:
    """Evict inside. Raises :class:`UsageError` where something evicts from the network already."""
    with taking(engine.network, EVICTS, engine.name), hooked(engine.network, engine.sites, engine.actions()):
        yield engine.report
