"""What methods inside a language model's decoder share: its calls' arguments, masks, caches, and who acts there.

Pruners shorten the sequence from one layer on, evictors shorten the caches. They nest, pruners outside by rising layer
and at most one evictor innermost; :func:`taking` holds that, and :func:`holding` tells what stands further in which of
the prompt's tokens a layer is given.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from otoscope.core.errors import ModelError, UsageError

#: What a cache is called in calls of the decoder's layers; releases of the library differ.
_CACHE = ("cache", "past_key_values")
#: The rank of an evictor; a pruner's is its layer.
EVICTS = float("inf")


@dataclass(frozen=True, eq=False)
class Tokens:
    """The tokens ``[B, n]`` that a layer is given while a prompt is read (``ids`` None: not known), which of them
    are ``real``, not padding, and of which of its prompt's ``clips`` each is (from 1; 0: of none)."""

    ids: Tensor | None
    real: Tensor
    clips: Tensor | None = None


_HELD: ContextVar[Tokens | None] = ContextVar("otoscope_held_tokens", default=None)
#: Of each network that is acted in: rank and name of what acts, from the outside in.
_TAKEN: dict[int, list[tuple[float, str]]] = {}


@contextmanager
def holding(tokens: Tokens) -> Iterator[None]:
    """Inside, a layer runs on ``tokens``."""
    token = _HELD.set(tokens)
    try:
        yield
    finally:
        _HELD.reset(token)


def held() -> Tokens | None:
    """What the innermost :func:`holding` said; None: the whole prompt."""
    return _HELD.get()


@contextmanager
def taking(network: Any, rank: float, name: str) -> Iterator[None]:
    """Act in ``network`` inside. Raises :class:`UsageError` where what acts there already has no lower rank."""
    taken = _TAKEN.setdefault(id(network), [])
    if taken and taken[-1][0] >= rank:
        other, its = taken[-1][1], taken[-1][0]
        if its == rank:
            what = "evict from one network" if rank == EVICTS else f"prune one network at layer {rank:g}"
            raise UsageError(f"{other} and {name} cannot {what} at once", where=name)
        raise UsageError(
            f"cannot be entered inside {other}, which acts on what it leaves",
            where=name,
            fix="Enter pruners before evictors, and pruners of lower layers first; a+b does so by itself.",
        )
    taken.append((rank, name))
    try:
        yield
    finally:
        taken.pop()
        if not taken:
            del _TAKEN[id(network)]


def refuse(network: Any, config: Any, name: str) -> None:
    """Raise where tokens cannot be left out exactly: training, sliding windows, paged caches."""
    if network.training:
        raise UsageError("acts in evaluation mode only", where=name, fix="Call network.eval() first.")
    kinds = set(getattr(config, "layer_types", None) or ()) - {"full_attention"}
    if kinds or (hasattr(config, "sliding_window") and not hasattr(config, "layer_types") and config.sliding_window):
        what = f"the decoder has layers of other kinds ({', '.join(sorted(kinds)) or 'sliding_attention'})"
        raise ModelError(what, where=name, fix="Only full attention can be pruned exactly.")
    if str(getattr(config, "_attn_implementation", "")).startswith("paged"):
        raise UsageError("a paged cache cannot be pruned", where=name, fix="Load the model with attention=sdpa.")


def audio_id(model: Any, name: str) -> int:
    """The token that stands for sound. Raises :class:`ModelError` where ``model`` has none."""
    found = getattr(model, "audio_token_id", None)
    if found is None:
        what = f"acts on audio tokens of an audio language model, and {model.card.name} has none"
        raise ModelError(what, where=name)
    return int(found)


# --- calls ------------------------------------------------------------------------------------------------------


def ids_of(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Tensor | None:
    """The tokens ``[B, S]`` that the network is called with; None: it is given embeddings."""
    ids = kwargs.get("input_ids", args[0] if args else None)
    return ids if isinstance(ids, Tensor) else None


def clip_sizes(kwargs: Mapping[str, Any]) -> Tensor | None:
    """Audio tokens of each clip ``[clips]`` of the batch, in order, where the network is told (Phi-4, whose clips may
    stand side by side; others put markers between them)."""
    found = kwargs.get("audio_embed_sizes")
    return found if isinstance(found, Tensor) else None


def clips_of(ids: Tensor, real: Tensor, audio_id: int, sizes: Tensor | None) -> Tensor:
    """Of which clip each token ``[B, S]`` is, counted from 1 in every prompt; 0 where it is no sound. A clip begins
    where sound begins, and where the one before it has all its tokens."""
    heard = (ids == audio_id) & real
    begins = heard & ~torch.nn.functional.pad(heard, (1, 0))[:, :-1]
    places = heard.nonzero()
    if sizes is not None and int(sizes.sum()) == len(places):
        firsts = places[(sizes.to(places.device).cumsum(0) - sizes.to(places.device)).long()]
        begins[firsts[:, 0], firsts[:, 1]] = True
    return begins.long().cumsum(1) * heard


def padding(mask: Any, ids: Tensor | None) -> Tensor | None:
    """Which tokens are real ``[B, S]``, from the mask as the network is given it: None for no padding, two-dimensional,
    or one that ``generate`` has prepared (the last query sees all that is real)."""
    if isinstance(mask, Mapping):
        mask = mask.get("full_attention", next(iter(mask.values()), None))
    if mask is None:
        return None
    if mask.ndim == 2:
        return mask.bool()
    if ids is None:
        return None
    last = mask[:, 0, -1, :]
    seen = last if last.dtype == torch.bool else last >= 0
    return seen[:, : ids.shape[1]]


def hidden_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Tensor, dict[str, Any]]:
    """The residual stream that a layer is called with, and the other arguments by name."""
    rest = {k: v for k, v in kwargs.items() if k != "hidden_states"}
    return (args[0] if args else kwargs["hidden_states"]), rest


def cache_of(kwargs: Mapping[str, Any]) -> Any:
    """The cache that a layer is called with, or None."""
    return next((kwargs[k] for k in _CACHE if kwargs.get(k) is not None), None)


def causal_mask(config: Any, hidden: Tensor, real: Tensor, cache: Any, layer: int) -> Any:
    """The library's own mask for ``hidden`` on top of what ``cache`` holds of ``layer``; ``real`` ``[B, keys]``."""
    from transformers.masking_utils import create_causal_mask

    known = inspect.signature(create_causal_mask).parameters
    where = {next(name for name in _CACHE if name in known): cache}
    mask = None if bool(real.all()) else real.to(torch.long)
    return create_causal_mask(config=config, inputs_embeds=hidden, attention_mask=mask, layer_idx=layer, **where)


def cache_bytes(cache: Any) -> int:
    """Bytes of all keys and values in a cache of the library."""
    return sum(layer_bytes(layer) for layer in getattr(cache, "layers", ()))


def layer_bytes(layer: Any) -> int:
    """Bytes of the keys and values of one layer of a cache."""
    both = (getattr(layer, "keys", None), getattr(layer, "values", None))
    return sum(t.numel() * t.element_size() for t in both if isinstance(t, Tensor))


def now(x: Tensor) -> float:
    """Seconds, once the device has done what it was asked for."""
    if x.is_cuda:
        torch.cuda.synchronize(x.device)
    return time.perf_counter()
