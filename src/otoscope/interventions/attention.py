"""Inside an attention core, without copying a modelling file.

While a module with actions runs, its one call of PyTorch's ``scaled_dot_product_attention`` goes through
:class:`Core`; a ``transformers`` module that doesn't use it is reached by its attention interface. Queries, keys and
values are ``[B, H, T, d]``. As long as nobody asks for the map, the fused kernel does the work; where somebody does,
``softmax(scale q k' + mask) v`` is computed explicitly, the softmax in float32 (Vaswani et al. 2017, equation 1).
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from otoscope.core.errors import ModelError
from otoscope.core.sites import Place


class Inside(Protocol):
    """An action inside the core."""

    @property
    def place(self) -> Place: ...

    def apply(self, value: Any) -> Any: ...


@contextmanager
def attending(module: nn.Module, actions: Sequence[Any]) -> Iterator[None]:
    """Apply ``actions`` in the attention that ``module`` computes inside. Raises :class:`ModelError` where it computes
    none that can be reached."""
    core = Core(actions)
    with core, _interface(module, core):
        yield
    if not core.calls:
        raise ModelError(
            f"{type(module).__name__} at {actions[0].place.path} computed its attention out of reach",
            fix="Load the model with attn_implementation sdpa or eager.",
        )


class Core(TorchFunctionMode):
    """Catches the attention call of one module's forward pass."""

    def __init__(self, actions: Sequence[Inside]) -> None:
        super().__init__()
        self.actions, self.calls = actions, 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is not functional.scaled_dot_product_attention:
            return func(*args, **(kwargs or {}))
        return self.attend(*args, **(kwargs or {}))

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
        self.calls += 1
        query, key, value = self._at("query", query), self._at("key", key), self._at("value", value)
        if not self._any("attention_map"):
            with torch._C.DisableTorchFunction():
                out = functional.scaled_dot_product_attention(
                    query, key, value, attn_mask, dropout_p, is_causal, scale=scale, enable_gqa=enable_gqa
                )
            return self._at("attention_result", out)
        if dropout_p:
            raise ModelError("attention dropout is on", fix="Put the network into eval mode.")
        if enable_gqa:
            groups = query.shape[1] // key.shape[1]
            key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
        probabilities = self._at("attention_map", attention_map(query, key, attn_mask, is_causal, scale))
        return self._at("attention_result", probabilities.to(value.dtype) @ value)

    def _at(self, at: str, value: Tensor) -> Tensor:
        for action in self.actions:
            if action.place.site.at == at:
                value = action.apply(value)
        return value

    def _any(self, at: str) -> bool:
        return any(action.place.site.at == at for action in self.actions)


def attention_map(
    query: Tensor, key: Tensor, mask: Tensor | None = None, is_causal: bool = False, scale: float | None = None
) -> Tensor:
    """Probabilities ``[B, H, Tq, Tk]`` in the queries' dtype; ``mask`` is boolean (True: keep) or additive. A row with
    nothing to attend to is zero."""
    scores = (query @ key.mT).float() * (1 / math.sqrt(query.shape[-1]) if scale is None else scale)
    if is_causal:
        mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf) if mask.dtype == torch.bool else scores + mask.float()
    probabilities = scores.softmax(-1)
    if mask is not None:
        probabilities = probabilities.nan_to_num(0.0)
    return probabilities.to(query.dtype)


@contextmanager
def _interface(module: nn.Module, core: Core) -> Iterator[None]:
    """Reach a ``transformers`` module whose attention is not PyTorch's call: its interface's entry, for the while."""
    how = getattr(getattr(module, "config", None), "_attn_implementation", None)
    library = sys.modules.get("transformers.modeling_utils")
    if library is None or how in (None, "sdpa"):
        yield
        return
    functions = library.ALL_ATTENTION_FUNCTIONS
    local = functions._local_mapping
    before = local.get(how)

    def attend(
        owner: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **rest: Any
    ) -> tuple[Tensor, None]:
        grouped = query.shape[1] != key.shape[1]
        if attention_mask is not None and attention_mask.ndim == 4:
            attention_mask = attention_mask[..., : key.shape[-2]]
        causal = bool(rest.get("is_causal") or False) and attention_mask is None and query.shape[-2] > 1
        dropout = float(rest.get("dropout", 0.0)) if owner.training else 0.0
        scale = rest.get("scaling")
        out = core.attend(query, key, value, attention_mask, dropout, causal, scale, grouped)
        return out.transpose(1, 2).contiguous(), None

    local[how] = attend
    try:
        yield
    finally:
        if before is None:
            del local[how]
        else:
            local[how] = before
