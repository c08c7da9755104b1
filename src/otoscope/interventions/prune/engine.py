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

import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from otoscope.core.errors import InputError, ModelError, UsageError
from otoscope.interventions.hooks import Action, Skip, hooked, places
from otoscope.interventions.shadow import ROOT
from otoscope.interventions.tally import sited

#: What a cache is called in calls of the decoder's layers; releases of the library differ.
_CACHE = ("cache", "past_key_values")


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


@dataclass
class Pruned:
    """The report (an ``InterventionReport``): what was kept since the last :meth:`drain`. ``clips``: per prompt, in
    order, audio tokens before and after; ``notes`` say in words what a reader must know."""

    layer: int
    n_layers: int
    clips: list[tuple[int, int]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    numbers: dict[str, float] = field(default_factory=dict)
    scoring_s: float = 0.0
    cache_bytes: list[int] = field(default_factory=list)  # of each cache, as it was last seen
    extra: list[Mapping[str, float]] = field(default_factory=list)

    def drain(self) -> Mapping[str, float]:
        """Means over prompts: ``kept_audio_tokens``, ``kept_audio_share`` at and above the layer, and over all layers
        (``layer_kept_audio_share``), ``scoring_seconds`` of a batch, ``cache_bytes`` of its cache in the end, and what
        the method adds."""
        found: dict[str, float] = {}
        heard = [(n, k) for n, k in self.clips if n]
        if heard:
            share = sum(k / n for n, k in heard) / len(heard)
            whole = self.layer / self.n_layers
            found = {
                "audio_tokens": sum(n for n, _ in heard) / len(heard),
                "kept_audio_tokens": sum(k for _, k in heard) / len(heard),
                "kept_audio_share": share,
                "layer_kept_audio_share": whole + (1 - whole) * share,
                "scoring_seconds": self.scoring_s,
            }
        if self.cache_bytes:
            found["cache_bytes"] = sum(self.cache_bytes) / len(self.cache_bytes)
        for name in sorted({k for e in self.extra for k in e}):
            told = [e[name] for e in self.extra if name in e]
            found[name] = sum(told) / len(told)
        self.clips, self.scoring_s, self.cache_bytes, self.extra = [], 0.0, [], []
        return found


#: ``choose(row)``: the positions ``[n]`` of the audio tokens that stay, rising, and numbers for the report.
Choose = Callable[[Row], tuple[Tensor, Mapping[str, float]]]


class Engine:
    """State of one context."""

    def __init__(self, model: Any, name: str, layer: int, choose: Choose, watched: Mapping[str, Tensor]) -> None:
        inside = sited(model, name)
        self.name, self.network, self.sites = name, inside.network, inside.sites
        self.audio_id = _audio_id(model, name)
        n = self.sites.n_layers
        if isinstance(layer, bool) or not isinstance(layer, int) or not 1 <= layer < n:
            raise UsageError(
                f"layer={layer} is not from 1 to {n - 1}",
                where=name,
                fix="Layer 0 stays whole: prompt lengths and rotary switches are read off its cache.",
            )
        self.config = self.network.get_decoder().config
        _refuse(self.network, self.config, name)
        self.layer, self.choose, self.watched = layer, choose, watched
        self.report = Pruned(layer, n)
        self._kept: weakref.WeakKeyDictionary[Any, Tensor] = weakref.WeakKeyDictionary()
        self._ids: Tensor | None = None
        self._real: Tensor | None = None
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
        ids = kwargs.get("input_ids", args[0] if args else None)
        self._ids = ids if isinstance(ids, Tensor) else None
        self._real = _padding(kwargs.get("attention_mask"), self._ids)
        self._call = self._cache = None
        result = network(*args, **kwargs)
        if self._cache is not None:
            told = self.report.cache_bytes
            told[-1:] = [cache_bytes(self._cache)]
            self._cache = None  # caches belong to the caller
        return result

    # --- before the layers ---

    def _first(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        hidden, kwargs = _hidden(args, kwargs)
        cache = next((kwargs[k] for k in _CACHE if kwargs.get(k) is not None), None)
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
            self._call = _Call(None, torch.cat([before, new], 1), None)
        call = self._call
        shorter = hidden if call.index is None else _gather(hidden, call.index)
        call.mask = self._mask(shorter, call.real, cache)
        if cache is not None:
            self._cache = cache
            if cache not in self._kept:
                self.report.cache_bytes.append(0)
            self._kept[cache] = call.real
        return module(shorter, **self._shortened(kwargs, call))

    def _later(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        hidden, kwargs = _hidden(args, kwargs)
        if self._call is None:
            raise ModelError(f"layer {self.layer} did not run before the layers above it", where=self.name)
        return module(hidden, **self._shortened(kwargs, self._call))

    def _turn(self, new: Tensor) -> Tensor:
        """Which tokens of a later turn are real. Raises :class:`InputError` where it holds sound."""
        if self._ids is not None and bool((self._ids[:, -new.shape[1] :] == self.audio_id).any()):
            what = "a later turn with sound cannot be pruned on a cache that is pruned already"
            raise InputError(what, where=self.name, fix="Put all clips into the first turn.")
        return new if self._real is None else self._real[:, -new.shape[1] :].to(new)

    def _prefill(self, module: nn.Module, hidden: Tensor, kwargs: Mapping[str, Any]) -> _Call:
        rows, n = hidden.shape[:2]
        if self._ids is None or tuple(self._ids.shape) != (rows, n):
            raise ModelError(
                "cannot tell which tokens are sound: the network was not called with the tokens of the whole prompt",
                where=self.name,
                fix="Call it with input_ids that the processor has widened, in one piece.",
            )
        real = torch.ones(rows, n, dtype=torch.bool, device=hidden.device)
        if self._real is not None:
            real = self._real.to(real)
        began = _now(hidden)
        stay = real.clone()
        heard = (self._ids.to(hidden.device) == self.audio_id) & real
        for i in range(rows):
            stay[i] &= ~heard[i]
            audio = heard[i].nonzero()[:, 0]
            if len(audio):
                kept, told = self.choose(self._row(i, audio, real[i], hidden, module, kwargs))
                stay[i, kept] = True
                self.report.clips.append((len(audio), len(kept)))
                self.report.extra.append(told)
            else:
                self.report.clips.append((0, 0))
        self.report.scoring_s += _now(hidden) - began
        counts = stay.sum(1)
        width = int(counts.max())
        # Kept tokens stand right, in order; what fills a shorter row is masked.
        order = torch.argsort(stay.to(torch.int8), dim=1, stable=True)[:, n - width :]
        shown = torch.arange(width, device=hidden.device)[None] >= width - counts[:, None]
        return _Call(order, shown, None)

    def _row(
        self, i: int, audio: Tensor, real: Tensor, hidden: Tensor, module: nn.Module, kwargs: Mapping[str, Any]
    ) -> Row:
        breaks = (audio.diff() > 1).nonzero()[:, 0] + 1
        edges = [0, *breaks.tolist(), len(audio)]
        after = torch.arange(int(audio[-1]) + 1, len(real), device=audio.device)
        cos, sin = (x[..., min(i, x.shape[-3] - 1), :, :] for x in kwargs["position_embeddings"])
        if cos.ndim == 3:  # one set per axis of a multimodal rotary embedding; text and sound have the same
            cos, sin = cos[0], sin[0]
        watched = {name: value[i] for name, value in self.watched.items()}
        clips = list(pairwise(edges))
        return Row(audio, clips, after[real[after]], real, hidden[i], module, watched, (cos, sin))

    def _mask(self, hidden: Tensor, real: Tensor, cache: Any) -> Any:
        from transformers.masking_utils import create_causal_mask

        where = {_cache_argument(create_causal_mask): cache}
        mask = None if bool(real.all()) else real.to(torch.long)
        return create_causal_mask(
            config=self.config, inputs_embeds=hidden, attention_mask=mask, layer_idx=self.layer, **where
        )

    def _shortened(self, kwargs: dict[str, Any], call: _Call) -> dict[str, Any]:
        changed = {**kwargs, "attention_mask": call.mask, "position_ids": None}
        if call.index is not None:
            changed["position_embeddings"] = tuple(_along(x, call.index) for x in kwargs["position_embeddings"])
        return changed


@dataclass
class _Call:
    """One call of the network: which tokens stay ``[B, S']`` (None: all), which keys of layers ``K`` and above are real
    ``[B, keys]``, and their mask."""

    index: Tensor | None
    real: Tensor
    mask: Any


@contextmanager
def pruning(engine: Engine, watching: Sequence[Action]) -> Iterator[Pruned]:
    """Prune inside. ``watching``: the method's observers, which fill ``engine.watched``. Raises :class:`UsageError`
    where the network is being pruned already."""
    if id(engine.network) in _BUSY:
        raise UsageError("two methods cannot prune one network at once", where=engine.name)
    _BUSY.add(id(engine.network))
    try:
        with hooked(engine.network, engine.sites, [*watching, *engine.actions()]):
            yield engine.report
    finally:
        _BUSY.discard(id(engine.network))


#: Networks that are being pruned.
_BUSY: set[int] = set()


def cache_bytes(cache: Any) -> int:
    """Bytes of all keys and values in a cache of the library."""
    found = 0
    for layer in getattr(cache, "layers", ()):
        for tensor in (getattr(layer, "keys", None), getattr(layer, "values", None)):
            found += tensor.numel() * tensor.element_size() if isinstance(tensor, Tensor) else 0
    return found


def _audio_id(model: Any, name: str) -> int:
    found = getattr(model, "audio_token_id", None)
    if found is None:
        what = f"prunes audio tokens of an audio language model, and {model.card.name} has none"
        raise ModelError(what, where=name)
    return int(found)


def _refuse(network: Any, config: Any, name: str) -> None:
    if network.training:
        raise UsageError("acts in evaluation mode only", where=name, fix="Call network.eval() first.")
    kinds = set(getattr(config, "layer_types", None) or ()) - {"full_attention"}
    if kinds or (hasattr(config, "sliding_window") and not hasattr(config, "layer_types") and config.sliding_window):
        what = f"the decoder has layers of other kinds ({', '.join(sorted(kinds)) or 'sliding_attention'})"
        raise ModelError(what, where=name, fix="Only full attention can be pruned exactly.")
    if str(getattr(config, "_attn_implementation", "")).startswith("paged"):
        raise UsageError("a paged cache cannot be pruned", where=name, fix="Load the model with attention=sdpa.")


def _padding(mask: Any, ids: Tensor | None) -> Tensor | None:
    """Which tokens are real ``[B, S]``, from the mask as the network is given it: None for no padding, two-dimensional,
    or one that ``generate`` has prepared (the last query sees all that is real)."""
    if isinstance(mask, Mapping):
        mask = mask.get("full_attention", next(iter(mask.values()), None))
    if mask is None or ids is None:
        return None
    if mask.ndim == 2:
        return mask.bool()
    last = mask[:, 0, -1, :]
    seen = last if last.dtype == torch.bool else last >= 0
    return seen[:, : ids.shape[1]]


def _now(x: Tensor) -> float:
    """Seconds, once the device has done what it was asked for."""
    if x.is_cuda:
        torch.cuda.synchronize(x.device)
    return time.perf_counter()


def _hidden(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Tensor, dict[str, Any]]:
    rest = {k: v for k, v in kwargs.items() if k != "hidden_states"}
    return (args[0] if args else kwargs["hidden_states"]), rest


def _gather(hidden: Tensor, index: Tensor) -> Tensor:
    return hidden.gather(1, index[..., None].expand(-1, -1, hidden.shape[-1]))


def _along(x: Tensor, index: Tensor) -> Tensor:
    """The kept angles of ``x`` ``[..., B, S, d]``, whose batch may be 1 for all rows."""
    x = x.expand(*x.shape[:-3], len(index), *x.shape[-2:])
    wide = index[..., None].expand(*index.shape, x.shape[-1])
    return x.gather(-2, wide.expand_as(x[..., : index.shape[1], :]))


def _cache_argument(function: Any) -> str:
    import inspect

    known = inspect.signature(function).parameters
    return next(name for name in _CACHE if name in known)
