"""The pruning engine: audio tokens leave the sequence at the input of one decoder layer, exactly.

From layer ``K`` on the kept tokens go on alone. They keep their rotary angles, so decoding continues after the unpruned
length; the mask of the shorter sequence is built once per call by the library's own function, before layer ``K`` writes
its cache; layers below ``K`` are whole, and layer 0 always is, because prompt lengths are read off its cache. Rows that
keep fewer tokens than others are filled on the left with dropped tokens that nobody sees. What each cache has kept is
remembered for decoding and for later turns. So dropping at ``K`` equals masking from ``K`` on, which a test holds.

The network's code and attention kernel stay its own: the engine stands before the layers through
:mod:`otoscope.interventions.hooks`. After the fact sheet of HeadRouter (arXiv 2604.23717), section 6; ours.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from otoscope.core.errors import InputError, ModelError, UsageError
from otoscope.interventions.decoder import (
    Tokens,
    audio_id,
    cache_bytes,
    cache_of,
    causal_mask,
    clip_sizes,
    clips_of,
    held,
    hidden_of,
    holding,
    ids_of,
    now,
    padding,
    refuse,
    taking,
)
from otoscope.interventions.hooks import Action, Skip, hooked, places
from otoscope.interventions.prune.report import Pruned
from otoscope.interventions.shadow import ROOT
from otoscope.interventions.tally import sited


@dataclass(frozen=True, eq=False)
class Row:
    """One prompt of a batch at the input of layer ``K``. Positions count in the padded sequence of ``S`` tokens.

    ``audio`` ``[N]`` are the audio tokens, ``clips`` their half-open stretches by clip, ``text`` ``[T]`` the tokens
    after the last of them; ``real`` ``[S]`` is false for padding. ``hidden`` ``[S, D]`` is the residual stream,
    ``layer`` the module of layer ``K``, ``watched`` what the method's observers saw of this row, ``angles`` the cosines
    and sines ``[S, d]`` of the rotary embedding.
    """

    audio: Tensor
    clips: Sequence[tuple[int, int]]
    text: Tensor
    real: Tensor
    hidden: Tensor
    layer: nn.Module
    watched: Mapping[str, Tensor]
    angles: tuple[Tensor, Tensor]


#: ``choose(row)``: the positions ``[n]`` of the audio tokens that stay, rising, and numbers for the report.
Choose = Callable[[Row], tuple[Tensor, Mapping[str, float]]]


class Engine:
    """State of one context."""

    def __init__(self, model: Any, name: str, layer: int, choose: Choose, watched: Mapping[str, Tensor]) -> None:
        inside = sited(model, name)
        self.name, self.network, self.sites = name, inside.network, inside.sites
        self.audio_id = audio_id(model, name)
        n = self.sites.n_layers
        if isinstance(layer, bool) or not isinstance(layer, int) or not 1 <= layer < n:
            raise UsageError(
                f"layer={layer} is not from 1 to {n - 1}",
                where=name,
                fix="Layer 0 stays whole: prompt lengths and rotary switches are read off its cache.",
            )
        self.config = self.network.get_decoder().config
        refuse(self.network, self.config, name)
        self.layer, self.choose, self.watched = layer, choose, watched
        self.report = Pruned(layer, n)
        self._kept: weakref.WeakKeyDictionary[Any, Tensor] = weakref.WeakKeyDictionary()
        self._ids: Tensor | None = None
        self._real: Tensor | None = None
        self._sizes: Tensor | None = None
        self._call: _Call | None = None
        self._cache: Any = None

    def actions(self) -> list[Action]:
        """What stands before the network and before layers ``K`` and above."""
        above = range(self.layer, self.sites.n_layers)
        found: list[Action] = [Skip(ROOT, self._enter)]
        for place in places(self.sites, "block_out", above):
            found.append(Skip(place, self._first if place.layer == self.layer else self._later))
        return found

    # --- before the network ---

    def _enter(self, network: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if kwargs.get("labels") is not None:
            raise UsageError(
                "gives logits of the kept tokens alone, so there is no loss against labels", where=self.name
            )
        if kwargs.get("output_hidden_states"):
            raise UsageError("hidden states of pruned layers are shorter than those below", where=self.name)
        self._ids, self._sizes = ids_of(args, kwargs), clip_sizes(kwargs)
        self._real = padding(kwargs.get("attention_mask"), self._ids)
        self._call = self._cache = None
        result = network(*args, **kwargs)
        if self._cache is not None:
            told = self.report.cache_bytes
            told[-1:] = [cache_bytes(self._cache)]
            self._cache = None  # caches belong to the caller
        return result

    # --- before the layers ---

    def _first(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        hidden, kwargs = hidden_of(args, kwargs)
        cache = cache_of(kwargs)
        past = 0 if cache is None else int(cache.get_seq_length(self.layer))
        rows, n = hidden.shape[0], hidden.shape[1]
        if past == 0 and n > 1:
            self._call = self._prefill(module, hidden, kwargs)
        else:
            new = torch.ones(rows, n, dtype=torch.bool, device=hidden.device)
            if n > 1:
                new = self._turn(new)
            before = self._kept.get(cache) if cache is not None else None
            if before is None:
                before = torch.ones(rows, past, dtype=torch.bool, device=hidden.device)
            self._call = _Call(None, torch.cat([before, new], 1))
        call = self._call
        shorter = hidden if call.index is None else _gather(hidden, call.index)
        call.mask = causal_mask(self.config, shorter, call.real, cache, self.layer)
        if cache is not None:
            self._cache = cache
            if cache not in self._kept:
                self.report.cache_bytes.append(0)
            self._kept[cache] = call.real
        return self._run(module, shorter, kwargs, call)

    def _later(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        hidden, kwargs = hidden_of(args, kwargs)
        if self._call is None:
            raise ModelError(f"layer {self.layer} did not run before the layers above it", where=self.name)
        return self._run(module, hidden, kwargs, self._call)

    def _run(self, module: nn.Module, hidden: Tensor, kwargs: dict[str, Any], call: _Call) -> Any:
        kwargs = self._shortened(kwargs, call)
        if call.tokens is None:
            return module(hidden, **kwargs)
        with holding(call.tokens):
            return module(hidden, **kwargs)

    def _turn(self, new: Tensor) -> Tensor:
        """Which tokens of a later turn are real. Raises :class:`InputError` where it holds sound."""
        if self._ids is not None and bool((self._ids[:, -new.shape[1] :] == self.audio_id).any()):
            what = "a later turn with sound cannot be pruned on a cache that is pruned already"
            raise InputError(what, where=self.name, fix="Put all clips into the first turn.")
        return new if self._real is None else self._real[:, -new.shape[1] :].to(new)

    def _prefill(self, module: nn.Module, hidden: Tensor, kwargs: Mapping[str, Any]) -> _Call:
        rows, n = hidden.shape[:2]
        given = held() or self._prompt()
        ids = None if given is None else given.ids
        if given is None or ids is None or tuple(ids.shape) != (rows, n):
            raise ModelError(
                "cannot tell which tokens are sound: the network was not called with the tokens of the whole prompt",
                where=self.name,
                fix="Call it with input_ids that the processor has widened, in one piece.",
            )
        ids, real = ids.to(hidden.device), given.real.to(hidden.device)
        assert given.clips is not None
        clips = given.clips.to(hidden.device)
        began = now(hidden)
        stay = real.clone()
        heard = clips > 0
        for i in range(rows):
            stay[i] &= ~heard[i]
            audio = heard[i].nonzero()[:, 0]
            if len(audio):
                kept, told = self.choose(self._row(i, audio, clips[i, audio], real[i], hidden, module, kwargs))
                stay[i, kept] = True
                self.report.clips.append((len(audio), len(kept)))
                self.report.by_clip.append(_by_clip(clips[i], stay[i]))
                self.report.extra.append(told)
                self.report.last = stay[i, audio]
            else:
                self.report.clips.append((0, 0))
                self.report.by_clip.append([])
        self.report.scoring_s += now(hidden) - began
        counts = stay.sum(1)
        width = int(counts.max())
        # Kept tokens stand right, in order; what fills a shorter row is masked.
        order = torch.argsort(stay.to(torch.int8), dim=1, stable=True)[:, n - width :]
        shown = torch.arange(width, device=hidden.device)[None] >= width - counts[:, None]
        return _Call(order, shown, tokens=Tokens(ids.gather(1, order), shown, clips.gather(1, order) * shown))

    def _prompt(self) -> Tokens | None:
        """The prompt's tokens, where nothing has been pruned; None where they are not known."""
        ids = self._ids
        if ids is None:
            return None
        real = torch.ones_like(ids, dtype=torch.bool) if self._real is None else self._real
        return Tokens(ids, real, clips_of(ids, real, self.audio_id, self._sizes))

    def _row(
        self,
        i: int,
        audio: Tensor,
        clip: Tensor,
        real: Tensor,
        hidden: Tensor,
        module: nn.Module,
        kwargs: Mapping[str, Any],
    ) -> Row:
        breaks = clip.diff().nonzero()[:, 0] + 1
        edges = [0, *breaks.tolist(), len(audio)]
        after = torch.arange(int(audio[-1]) + 1, len(real), device=audio.device)
        cos, sin = (x[..., min(i, x.shape[-3] - 1), :, :] for x in kwargs["position_embeddings"])
        if cos.ndim == 3:  # one set per axis of a multimodal rotary embedding; text and sound have the same
            cos, sin = cos[0], sin[0]
        watched = {name: value[i] for name, value in self.watched.items()}
        clips = list(pairwise(edges))
        return Row(audio, clips, after[real[after]], real, hidden[i], module, watched, (cos, sin))

    def _shortened(self, kwargs: dict[str, Any], call: _Call) -> dict[str, Any]:
        changed = {**kwargs, "attention_mask": call.mask, "position_ids": None}
        if call.index is not None:
            changed["position_embeddings"] = tuple(_along(x, call.index) for x in kwargs["position_embeddings"])
        return changed


@dataclass
class _Call:
    """One call of the network: which tokens stay ``[B, S']`` (None: all), which keys of layers ``K`` and above are real
    ``[B, keys]``, their mask, and, while a prompt is read, what the layers are given."""

    index: Tensor | None
    real: Tensor
    mask: Any = None
    tokens: Tokens | None = None


@contextmanager
def pruning(engine: Engine, watching: Sequence[Action]) -> Iterator[Pruned]:
    """Prune inside. ``watching``: the method's observers, which fill ``engine.watched``. Raises :class:`UsageError`
    where the network is being pruned at this layer or a higher one already."""
    actions = [*watching, *engine.actions()]
    with taking(engine.network, engine.layer, engine.name), hooked(engine.network, engine.sites, actions):
        yield engine.report


def _by_clip(clips: Tensor, stay: Tensor) -> list[tuple[int, int]]:
    """Audio tokens of each clip, before and after."""
    numbers = range(1, int(clips.max()) + 1)
    return [(int((clips == k).sum()), int(((clips == k) & stay).sum())) for k in numbers]


def _gather(hidden: Tensor, index: Tensor) -> Tensor:
    return hidden.gather(1, index[..., None].expand(-1, -1, hidden.shape[-1]))


def _along(x: Tensor, index: Tensor) -> Tensor:
    """The kept angles of ``x`` ``[..., B, S, d]``, whose batch may be 1 for all rows."""
    x = x.expand(*x.shape[:-3], len(index), *x.shape[-2:])
    wide = index[..., None].expand(*index.shape, x.shape[-1])
    return x.gather(-2, wide.expand_as(x[..., : index.shape[1], :]))
