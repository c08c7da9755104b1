"""Inside an attention core, without copying a modelling file.

While a module with actions runs, the one attention that it computes goes through :class:`Core`, in one of three ways:

* the attention interface of ``transformers`` (any implementation; keys and values before they are repeated for grouped
  queries). The implementation itself computes, so nothing changes by being watched;
* PyTorch's ``scaled_dot_product_attention``, called by anything else;
* the same inside PyTorch's ``multi_head_attention_forward``, where it is asked for no weights.

Queries, keys and values are ``[B, H, T, d]``. As long as nobody asks for the map, the fused kernel does the work; where
somebody does, an eager implementation's own map is taken, and for the fused one ``softmax(scale q k' + mask) v`` is
computed explicitly, the softmax in float32 at least (Vaswani et al. 2017, equation 1).
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from otoscope.core.errors import ModelError
from otoscope.core.sites import Place


class Inside(Protocol):
    """An action inside the core. ``watches``: it only looks."""

    @property
    def place(self) -> Place: ...

    @property
    def watches(self) -> bool: ...

    def apply(self, value: Any) -> Any: ...


#: The core whose module is running, in this thread. None while an action's own code runs.
_ACTIVE: ContextVar[Core | None] = ContextVar("otoscope_attention_core", default=None)


@contextmanager
def attending(module: nn.Module, actions: Sequence[Inside]) -> Iterator[None]:
    """Apply ``actions`` in the attention that ``module`` computes inside. Raises :class:`ModelError` where it computes
    none that can be reached, or more than one."""
    core = Core(module, actions)
    token = _ACTIVE.set(core)
    try:
        with core, _interface():
            yield
    finally:
        _ACTIVE.reset(token)
    if core.calls != 1:
        how = "out of reach" if not core.calls else f"{core.calls} times in one call"
        fix = "Load it with attn_implementation sdpa or eager; nn.MultiheadAttention needs need_weights=False."
        if core.calls:
            fix = "Its site must name the module of one attention."
        raise ModelError(f"{type(module).__name__} at {actions[0].place.path} computed its attention {how}", fix=fix)


@contextmanager
def aside() -> Iterator[None]:
    """While an action's own code runs: whatever it computes is none of the watched module's attention."""
    token = _ACTIVE.set(None)
    try:
        yield
    finally:
        _ACTIVE.reset(token)


class Core(TorchFunctionMode):
    """Catches the attention of one module's forward pass."""

    def __init__(self, module: nn.Module, actions: Sequence[Inside]) -> None:
        super().__init__()
        self.owners = set(module.modules())
        self.actions, self.calls = actions, 0
        self._library: tuple[int, int] | None = None  # heads and queries, within a call of the library's interface
        self._mapped = False

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if _ACTIVE.get() is self:
            if func is functional.scaled_dot_product_attention:
                return self.attend(*args, **(kwargs or {}))
            if func is functional.multi_head_attention_forward:
                with _within_multi_head(self):
                    return func(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))

    def attend(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        scale: float | None = None,
        enable_gqa: bool = False,
    ) -> Tensor:
        """PyTorch's call, with the actions in it."""
        if self._library is None:
            self.calls += 1
            query, key, value = self._at("query", query), self._at("key", key), self._at("value", value)
        if self._wants("attention_map"):
            _refuse_dropout(dropout_p)
            probabilities = self._map(attention_map(query, _wide(key, query), attn_mask, is_causal, scale))
            out = probabilities.to(value.dtype) @ _wide(value, query)
        else:
            out = functional.scaled_dot_product_attention(
                query, key, value, attn_mask, dropout_p, is_causal, scale=scale, enable_gqa=enable_gqa
            )
        return out if self._library is not None else self._at("attention_result", out)

    def interface(self, function: Callable[..., Any], owner: nn.Module, *args: Any, **rest: Any) -> Any:
        """One call of the library's interface ``function``, with the actions in it."""
        query, key, value, *others = args
        self.calls += 1
        query, key, value = self._at("query", query), self._at("key", key), self._at("value", value)
        self._library, self._mapped = (query.shape[1], query.shape[2]), False
        try:
            out, weights = function(owner, query, key, value, *others, **rest)
        finally:
            self._library = None
        if self._wants("attention_map") and not self._mapped:
            if weights is None or weights.ndim != 4:
                raise ModelError(
                    f"the attention map of {type(owner).__name__} is out of reach",
                    fix="Load the model with attn_implementation sdpa or eager.",
                )
            _refuse_dropout(float(rest.get("dropout") or 0.0) if owner.training else 0.0)
            weights = self._at("attention_map", weights)
            if any(a.place.site.at == "attention_map" and not a.watches for a in self.actions):
                out = (weights.to(value.dtype) @ _wide(value, query)).transpose(1, 2).contiguous()
        if self._wants("attention_result"):
            out = self._at("attention_result", out.transpose(1, 2)).transpose(1, 2).contiguous()
        return out, weights

    def _map(self, probabilities: Tensor) -> Tensor:
        """Through the actions as ``[B, H, Tq, Tk]``: the library packs grouped queries of a single token otherwise."""
        self._mapped = True
        if self._library is None:
            return self._at("attention_map", probabilities)
        plain = probabilities.reshape(-1, *self._library, probabilities.shape[-1])
        return self._at("attention_map", plain).reshape(probabilities.shape)

    def _at(self, at: str, value: Tensor) -> Tensor:
        for action in self.actions:
            if action.place.site.at == at:
                value = action.apply(value)
        return value

    def _wants(self, at: str) -> bool:
        return any(action.place.site.at == at for action in self.actions)


def attention_map(
    query: Tensor, key: Tensor, mask: Tensor | None = None, is_causal: bool = False, scale: float | None = None
) -> Tensor:
    """Probabilities ``[.., Tq, Tk]`` in the queries' dtype; ``mask`` is boolean (True: keep) or additive. A row with
    nothing to attend to is zero."""
    wide = torch.promote_types(query.dtype, torch.float32)
    scores = query.to(wide) @ key.to(wide).mT * (1 / math.sqrt(query.shape[-1]) if scale is None else scale)
    if is_causal:
        causal = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
        scores = scores.masked_fill(~causal, -math.inf)
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf) if mask.dtype == torch.bool else scores + mask.to(wide)
    probabilities = scores.softmax(-1)
    if mask is not None:
        probabilities = probabilities.masked_fill((scores == -math.inf).all(-1, keepdim=True), 0.0)
    return probabilities.to(query.dtype)


def _wide(x: Tensor, query: Tensor) -> Tensor:
    """Keys or values of grouped queries, once per head of ``query``."""
    if x.ndim < 4 or x.shape[-3] == query.shape[-3]:
        return x
    return x.repeat_interleave(query.shape[-3] // x.shape[-3], -3)


def _refuse_dropout(rate: float) -> None:
    if rate:
        raise ModelError("attention dropout is on", fix="Put the network into eval mode.")


# --- the ways in ----------------------------------------------------------------------------------------------------


@contextmanager
def _interface() -> Iterator[None]:
    """Let what ``transformers`` modules get as their attention function go through the active core."""
    library = sys.modules.get("transformers.modeling_utils")
    if library is None:
        yield
        return
    kind = library.AttentionInterface
    before = kind.get_interface

    def get_interface(self: Any, *args: Any, **kwargs: Any) -> Callable[..., Any]:
        function = before(self, *args, **kwargs)

        def attend(owner: nn.Module, *inputs: Any, **rest: Any) -> Any:
            core = _ACTIVE.get()
            if core is None or owner not in core.owners or core._library is not None:
                return function(owner, *inputs, **rest)
            return core.interface(function, owner, *inputs, **rest)

        return attend

    kind.get_interface = get_interface
    try:
        yield
    finally:
        kind.get_interface = before


@contextmanager
def _within_multi_head(core: Core) -> Iterator[None]:
    """PyTorch runs the body of ``multi_head_attention_forward`` with all modes off, so its call of the core is caught
    by name. Other threads, and the code of actions, get the original."""
    original = functional.scaled_dot_product_attention

    def attend(*args: Any, **kwargs: Any) -> Tensor:
        if _ACTIVE.get() is not core:
            return original(*args, **kwargs)
        functional.scaled_dot_product_attention = original  # type: ignore[assignment]
        try:
            return core.attend(*args, **kwargs)
        finally:
            functional.scaled_dot_product_attention = attend  # type: ignore[assignment]

    functional.scaled_dot_product_attention = attend  # type: ignore[assignment]
    try:
        yield
    finally:
        functional.scaled_dot_product_attention = original  # type: ignore[assignment]
